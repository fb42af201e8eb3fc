"""Reading the HTML pages that the command line writes."""

import os
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

# Elements and attributes with which a page loads something from elsewhere.
LOADING = {"script", "link", "iframe", "object", "embed", "img", "base", "form", "image", "use"}
VOID = {"meta", "br", "hr", "img"}


class Page(HTMLParser):
    """The tables, titles and elements of a page; fails where tags do not match.

    Attributes
    ----------
    tables : dict of str to list of list of str
        The rows of each table with an id, its head first.
    headings : list of str
    elements : list of (str, dict)
    text : str
    """

    def __init__(self, text):
        super().__init__()
        self.tables, self.headings, self.elements, self.text = {}, [], [], ""
        self._open, self._rows = [], None
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        if tag in VOID:
            return
        self._open.append(tag)
        if tag == "table":
            self._rows = []
            if "id" in found:
                assert found["id"] not in self.tables
                self.tables[found["id"]] = self._rows
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        elif tag == "h2":
            self.headings.append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, (tag, self._open)

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.text += data
        for tag in reversed(self._open):
            if tag in ("td", "th"):
                self._rows[-1][-1] += data
                break
            if tag == "h2":
                self.headings[-1] += data
                break

    def check_self_contained(self):
        """Nothing is loaded, and nothing runs."""
        for tag, attributes in self.elements:
            is_picture = tag == "img" and attributes["src"].startswith("data:image/png;base64,")
            assert tag not in LOADING or is_picture, tag
            for name, value in attributes.items():
                if is_picture and name == "src":
                    continue
                assert not name.startswith("on") and name not in ("src", "href", "xlink:href"), name
                assert "url(" not in (value or "") and "http" not in (value or "")

    def numbers(self, table, column):
        """The numbers of a column of a table, by its head."""
        head, *rows = self.tables[table]
        place = head.index(column)
        return [float(row[place].removesuffix("%")) for row in rows]


def browser():
    """A headless browser's command, or a skip that continuous integration allows."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return [path, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    pytest.skip("no headless browser is installed")


def rendered(page, folder):
    """(the document after the browser has read it, the picture that it drew) of a file."""
    environment = os.environ | {"HOME": str(folder)}
    command = [*browser(), f"--user-data-dir={folder / 'profile'}"]
    picture, size = folder / "picture.png", "--window-size=1000,3000"

    def run(*options):
        done = subprocess.run(
            [*command, *options, page.as_uri()],
            capture_output=True,
            timeout=120,
            env=environment,
            cwd=folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    document = run("--dump-dom", "--virtual-time-budget=2000")
    run(f"--screenshot={picture}", size)
    return document, picture
