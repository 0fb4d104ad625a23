"""A page seen by headless Chromium: what it logs, whether pictures are there, and what lies over what."""

import json
import re
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Boxes of text and pictures, as far as they are not scrolled away; two of different elements may not overlap.
LOOK = """
<script>
window.addEventListener("load", () => {
  const boxes = [];
  const clip = (box, element) => {
    let [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom];
    const scroll = element.closest(".scroll");
    if (scroll) {
      const frame = scroll.getBoundingClientRect();
      left = Math.max(left, frame.left); right = Math.min(right, frame.right);
    }
    return {left, top, right, bottom};
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, element = node.parentElement;
    if (!node.data.trim() || element.tagName === "SCRIPT" || !element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const name = node.data.trim().slice(0, 40);
    for (const box of range.getClientRects()) boxes.push({...clip(box, element), element, name});
  }
  for (const image of document.images)
    boxes.push({...clip(image.getBoundingClientRect(), image), element: image, name: image.alt});
  const seen = boxes.filter(b => b.right - b.left > 1 && b.bottom - b.top > 1), overlaps = [], outside = [];
  seen.forEach((a, i) => {
    if (a.left < -1 || a.right > innerWidth + 1) outside.push(a.name);
    for (const b of seen.slice(i + 1)) {
      if (a.element === b.element || a.element.contains(b.element) || b.element.contains(a.element)) continue;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 1.5 && high > 3) overlaps.push([a.name, b.name, wide, high]);
    }
  });
  const style = getComputedStyle(document.body);
  parent.postMessage(JSON.stringify({
    width: innerWidth, scrolled: document.documentElement.scrollWidth, n: seen.length, overlaps, outside,
    ground: style.backgroundColor, ink: style.color,
    pictures: [...document.images].map(image => ({
      name: image.alt, loaded: image.complete && image.naturalWidth > 0, ratio: image.naturalHeight / image.naturalWidth,
      width: image.getBoundingClientRect().width, height: image.getBoundingClientRect().height,
      dark: image.currentSrc === image.parentElement.querySelector("source").srcset,
    })),
  }), "*");
});
</script>
"""
# A window may not be narrower than 500 pixels; a frame in it may.
FRAME = """<!DOCTYPE html><html style="color-scheme:light dark"><body>
<script>window.addEventListener("message", event => {
  const out = document.createElement("pre"); out.id = "seen"; out.textContent = event.data; document.body.append(out);
});</script>
<iframe src="PAGE" style="border:0;width:WIDTHpx;height:900px"></iframe></body></html>
"""


def find():
    """Path of a browser, or skip with the reason."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"there is no browser: none of {', '.join(NAMES)} is installed")
    return found


def run(*arguments, timeout=120):
    command = [
        find(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)


def look(page, folder, width, dark):
    """Open a copy of a page with a script that measures it; return what it found, and the console's lines."""
    copy = folder / f"{page.stem}-{width}-{dark}.html"
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    copy.write_text(text.replace("</body>", LOOK + "</body>"), encoding="utf-8")
    frame = folder / f"{page.stem}-{width}-{dark}-frame.html"
    frame.write_text(FRAME.replace("PAGE", copy.name).replace("WIDTH", str(width)), encoding="utf-8")
    done = run(
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--window-size={width + 100},1000",
        f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr",
        "--virtual-time-budget=10000",
        "--dump-dom",
        frame.as_uri(),
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    escaped = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(escaped), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def print_to_pdf(page, folder):
    """Bytes of the page as it is printed."""
    path = folder / f"{page.stem}.pdf"
    run(f"--print-to-pdf={path}", f"--user-data-dir={folder / 'profile'}", page.as_uri())
    return path.read_bytes()
