"""A browser without scripts, for the consoles of both services."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


class Browser:
    """A browser without scripts: cookies, and forms with the tokens of their pages."""

    def __init__(self, url: str, **headers: str) -> None:
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=60, headers=headers)
        self.page = httpx.Response(200)

    def open(self, path: str) -> str:
        self.page = self.http.get(path)
        return self.page.text

    def submit(self, path: str, **fields: str) -> str:
        """Send a form of the page that is open."""
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.page.text)
        assert token is not None
        self.page = self.http.post(path, data={"csrf": token.group(1), **fields})
        return self.page.text

    def sign_in(self, key: str) -> str:
        self.open("/console")
        return self.submit("/console/sign-in", key=key)


@contextmanager
def signed_in(url: str, key: str, **headers: str) -> Iterator[Browser]:
    browser = Browser(url, **headers)
    try:
        browser.sign_in(key)
        yield browser
    finally:
        browser.http.close()
