"""The shop: `POST /commandes` begins a saga, and `GET /commandes/{id}?wait=5` waits for its outcome."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import httpx
from fastapi import FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from boutique.store import Base, Commande, PlafondDepasse, passer
from choregraphie import Settings, read_settings
from choregraphie.client import MonitorRefused, OutcomeUnknown, Relay, outcome
from choregraphie.saga.fields import Identifier

SAGA = "commande"


@dataclass(frozen=True)
class Boutique:
    """What the requests share."""

    settings: Settings
    sessions: async_sessionmaker[Any]
    relay: Relay
    http: httpx.AsyncClient
    monitor: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database, and run the relay while the application runs."""
    settings = read_settings(os.environ)
    url = make_url(os.environ["BOUTIQUE_DATABASE_URL"]).set(drivername="postgresql+psycopg")
    engine = create_async_engine(url, pool_pre_ping=True)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with Relay(engine, settings).running() as relay, httpx.AsyncClient() as http:
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        monitor = os.environ.get("BOUTIQUE_MONITOR_URL", "http://127.0.0.1:8787")
        app.state.boutique = Boutique(settings, sessions, relay, http, monitor)
        yield
    await engine.dispose()


app = FastAPI(title="boutique", lifespan=lifespan)


class Demande(BaseModel):
    """What a customer asks for."""

    client_id: Identifier
    produit_id: Identifier
    quantite: Annotated[int, Field(ge=1, le=1_000_000)]
    montant: Annotated[Decimal, Field(gt=0, le=1_000_000, decimal_places=2)]


@app.post("/commandes", status_code=202)
async def commander(demande: Demande, request: Request, response: Response) -> dict[str, str]:
    """Keep the order and begin its saga in one transaction; 409 when the customer's ceiling is exceeded."""
    boutique: Boutique = request.app.state.boutique
    commande = Commande(id=f"CMD-{uuid.uuid4().hex[:12]}", **demande.model_dump())
    try:
        async with boutique.sessions.begin() as session:
            await passer(session, commande)
    except PlafondDepasse as refusal:
        raise HTTPException(409, str(refusal)) from None
    response.headers["location"] = f"/commandes/{commande.id}"
    return {"commande_id": commande.id}


@app.get("/commandes/{commande_id}")
async def suivre(
    commande_id: str, request: Request, wait: Annotated[float, Query(ge=0, le=30)] = 0
) -> dict[str, Any]:
    """Where the order stands, once it has ended or after `wait` seconds."""
    boutique: Boutique = request.app.state.boutique
    async with boutique.sessions() as session:
        if await session.get(Commande, commande_id) is None:
            raise HTTPException(404, f"there is no order {commande_id[:100]}")
    token = boutique.settings.monitor_token
    try:
        found = await outcome(boutique.monitor, SAGA, commande_id, timeout=wait, token=token, client=boutique.http)
    except OutcomeUnknown as unknown:
        # The order is kept, and its saga begins or goes on; only its state is not known now.
        return {"commande_id": commande_id, "state": None, "terminal": False, "detail": str(unknown)}
    except MonitorRefused as refused:
        raise HTTPException(502, str(refused)) from None
    return {
        "commande_id": commande_id,
        "state": found.state,
        "terminal": found.terminal,
        "success": found.success,
        "reason": found.reason,
    }


@app.get("/readyz")
async def ready(request: Request, response: Response) -> dict[str, Any]:
    """Orders are taken while the broker is away; 503 tells an operator that their sagas do not begin."""
    problem = request.app.state.boutique.relay.problem
    response.status_code = 503 if problem else 200
    return {"relay": problem or "publishes"}
