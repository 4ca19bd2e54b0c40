"""HTML pages. They contain no scripts and nothing from other hosts; all inserted text is escaped."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

from tuner.people.permissions import Principal
from tuner_service.auth.sessions import CSRF_FIELD

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui;max-width:34rem;margin:4rem auto;padding:0 1rem}
label{display:block;margin:1rem 0 .25rem}
input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem}
button{font:inherit;padding:.5rem 1rem;margin-top:1rem}
.wrong{border-left:4px solid #c00;padding-left:.75rem}
dt{font-weight:600;margin-top:.5rem}
"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    # Not no-referrer: with it the browser would send the forms with "Origin: null".
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def login_page(*, next_path: str, csrf_token: str, wrong: str = "", status: int = 200) -> HTMLResponse:
    """The login page.

    Args:
        next_path: The page after the login.
        csrf_token: Ties the form to the browser.
        wrong: The error of the last attempt; empty without one.
        status: HTTP status of the response.
    """
    error = f'<p class="wrong" role="alert">{escape(wrong)}</p>' if wrong else ""
    return _page(
        "Log in",
        f"""<h1>Log in to Schedule Tuner</h1>{error}
<form method="post" action="/login">
{_hidden(CSRF_FIELD, csrf_token)}{_hidden("next", next_path)}
<label for="token">API token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus maxlength="200">
<button>Log in</button></form>
<p>An admin of your team creates your first token; with it you can create others.</p>""",
        status=status,
    )


def home_page(principal: Principal, *, csrf_token: str | None) -> HTMLResponse:
    """The home page: the caller's identity and links.

    Args:
        principal: The caller.
        csrf_token: Of the browser's session; without a session the page has no logout button.
    """
    team = "every team" if principal.team is None else f"team {principal.team}"
    leave = (
        f'<form method="post" action="/logout">{_hidden(CSRF_FIELD, csrf_token)}<button>Log out</button></form>'
        if csrf_token
        else ""
    )
    return _page(
        "Schedule Tuner",
        f"""<h1>Schedule Tuner</h1>
<p>You are <strong>{escape(principal.user)}</strong>, {escape(principal.role.value)} for {escape(team)}.</p>
<ul><li><a href="/dashboard">Studies in the Optuna dashboard</a></li>
<li><a href="/v1/queue">The queue</a> and <a href="/v1/jobs">the jobs</a>, as JSON</li>
<li><a href="/openapi.json">The API, described</a></li></ul>{leave}""",
    )


def _page(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    return HTMLResponse(text, status_code=status, headers=_HEADERS)


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
