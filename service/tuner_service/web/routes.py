"""``/``, ``/login``, ``/logout``: pages for a browser."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from tuner_service.access import PrincipalDep
from tuner_service.auth.authenticator import Authenticator, address_of
from tuner_service.auth.sessions import CSRF_FIELD, Session
from tuner_service.errors import ForgedRequest, TooManyRequests, Unauthenticated
from tuner_service.resources import ResourcesDep
from tuner_service.web.pages import home_page, login_page
from tuner_service.web.targets import local_target

router = APIRouter(include_in_schema=False)

_FIELDS = 10
_STALE = "This page was open for too long, or cookies are off. Try again."


@router.get("/")
def home(request: Request, principal: PrincipalDep, resources: ResourcesDep) -> Response:
    """The home page."""
    session: Session | None = request.state.session
    csrf_token = resources.authenticator.sessions.csrf_token(session) if session else None
    return home_page(principal, csrf_token=csrf_token)


@router.get("/login")
def show_login(request: Request, resources: ResourcesDep) -> Response:
    """The login form; a redirect to the target where no login is required."""
    target = local_target(request.query_params.get("next", ""))
    if not resources.authenticator.login_needed:
        return RedirectResponse(target, status_code=303)
    return _form(resources.authenticator, target=target)


@router.post("/login")
async def log_in(request: Request, resources: ResourcesDep) -> Response:
    """Exchange a token for a session."""
    authenticator, form = resources.authenticator, await _fields(request)
    target = local_target(form.get("next", ""))
    if not authenticator.login_needed:
        return RedirectResponse(target, status_code=303)
    cookie = request.cookies.get(authenticator.sessions.form_cookie, "")
    if not authenticator.sessions.is_own_form(form.get(CSRF_FIELD, ""), cookie=cookie):
        return _form(authenticator, target=target, wrong=_STALE, status=403)
    try:
        principal = await authenticator.log_in(form.get("token", "").strip(), address=address_of(request))
    except Unauthenticated:
        return _form(
            authenticator,
            target=target,
            wrong="This token is not accepted: it is unknown, expired or revoked.",
            status=401,
        )
    except TooManyRequests as error:
        response = _form(
            authenticator, target=target, wrong=f"Too many attempts. Try again in {error.seconds} s.", status=429
        )
        response.headers["Retry-After"] = str(error.seconds)
        return response
    response = RedirectResponse(target, status_code=303)
    if principal.token_id is not None:
        await authenticator.begin_session(response, token_id=principal.token_id)
    return response


@router.post("/logout")
async def log_out(request: Request, resources: ResourcesDep) -> Response:
    """End the session, also for copies of its cookie. The token stays valid.

    Raises:
        ForgedRequest: The CSRF token is missing or wrong: another site may have sent the request.
    """
    authenticator = resources.authenticator
    session: Session | None = request.state.session
    if session is not None:
        csrf_token = (await _fields(request)).get(CSRF_FIELD, "")
        if not authenticator.sessions.is_csrf_token(csrf_token, session=session):
            raise ForgedRequest
        await authenticator.end_session(session)
    response = RedirectResponse("/login", status_code=303)
    authenticator.sessions.end(response)
    return response


def _form(authenticator: Authenticator, *, target: str, wrong: str = "", status: int = 200) -> Response:
    nonce, csrf_token = authenticator.sessions.new_form()
    response = login_page(next_path=target, csrf_token=csrf_token, wrong=wrong, status=status)
    authenticator.sessions.remember_form(response, nonce=nonce)
    return response


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a form; empty for any other body."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[0] for name, values in parse_qs(body, max_num_fields=_FIELDS).items()}
    except ValueError:
        return {}
