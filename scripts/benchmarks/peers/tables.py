"""The tables of a peer's service: the same columns and indexes as ours, in plain SQL."""

from __future__ import annotations

MACHINERY = """
CREATE TABLE IF NOT EXISTS inbox (
    event_id TEXT NOT NULL, source TEXT NOT NULL, body_hash BLOB NOT NULL, type TEXT NOT NULL, saga TEXT NOT NULL,
    key TEXT NOT NULL, dealt_with_at BIGINT NOT NULL, PRIMARY KEY (event_id, source));
CREATE INDEX IF NOT EXISTS inbox_dealt_with_at ON inbox (dealt_with_at);
CREATE TABLE IF NOT EXISTS journal (
    saga TEXT NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL, data TEXT NOT NULL,
    cause TEXT, at BIGINT NOT NULL, undone_at BIGINT, undone_by TEXT, cause_source TEXT,
    PRIMARY KEY (saga, key, action));
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
    saga TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, traceparent TEXT, decided_at BIGINT NOT NULL,
    said_at BIGINT);
CREATE INDEX IF NOT EXISTS outbox_said_at ON outbox (said_at);
"""
BUSINESS = {
    "stock": """
CREATE TABLE IF NOT EXISTS rayons (
    produit_id TEXT PRIMARY KEY, initial INTEGER NOT NULL, disponible INTEGER NOT NULL, retenu INTEGER NOT NULL,
    vendu INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reservations (
    commande_id TEXT PRIMARY KEY, reservation_id TEXT NOT NULL UNIQUE, produit_id TEXT NOT NULL,
    quantite INTEGER NOT NULL, etat TEXT NOT NULL);
""",
    "paiement": """
CREATE TABLE IF NOT EXISTS comptes (client_id TEXT PRIMARY KEY, initial BIGINT NOT NULL, solde BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS debits (
    commande_id TEXT PRIMARY KEY, transaction_id TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL,
    montant BIGINT NOT NULL, etat TEXT NOT NULL);
""",
    "commande": """
CREATE TABLE IF NOT EXISTS commandes (
    commande_id TEXT PRIMARY KEY, etat TEXT NOT NULL, client_id TEXT, montant BIGINT, paye BIGINT, echeance BIGINT,
    cause TEXT);
CREATE INDEX IF NOT EXISTS commandes_echeance ON commandes (etat, echeance);
""",
    "notification": """
CREATE TABLE IF NOT EXISTS envois (
    cle TEXT PRIMARY KEY, commande_id TEXT NOT NULL, modele TEXT NOT NULL, destinataire TEXT NOT NULL,
    envoye_le BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS envois_commande_id ON envois (commande_id);
""",
}


def on_postgresql(tables: str) -> str:
    """The same tables in the dialect of PostgreSQL."""
    counted = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    return tables.replace("INTEGER PRIMARY KEY AUTOINCREMENT", counted).replace("BLOB", "BYTEA")
