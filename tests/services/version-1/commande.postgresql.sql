-- The database of commande as the first version left it, after what tests/services/test_migrations.py says.
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.clients (
    client_id text NOT NULL,
    bloque boolean NOT NULL,
    plafond bigint,
    encours bigint NOT NULL
);
CREATE TABLE public.commandes (
    commande_id text NOT NULL,
    etat text NOT NULL,
    client_id text,
    montant bigint,
    payee boolean NOT NULL,
    raison text,
    echeance bigint,
    cause text
);
CREATE TABLE public.inbox (
    event_id text NOT NULL,
    body_hash bytea NOT NULL,
    type text NOT NULL,
    commande_id text NOT NULL,
    dealt_with_at bigint NOT NULL
);
CREATE TABLE public.journal (
    commande_id text NOT NULL,
    action text NOT NULL,
    state text NOT NULL,
    data text NOT NULL,
    cause text,
    at bigint NOT NULL,
    undone_at bigint,
    undone_by text
);
CREATE TABLE public.outbox (
    number bigint NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    commande_id text NOT NULL,
    body bytea NOT NULL,
    traceparent text,
    decided_at bigint NOT NULL,
    said_at bigint
);
CREATE SEQUENCE public.outbox_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.outbox_number_seq OWNED BY public.outbox.number;
CREATE TABLE public.service (
    name text NOT NULL,
    runtime_version integer NOT NULL,
    version integer NOT NULL
);
ALTER TABLE ONLY public.outbox ALTER COLUMN number SET DEFAULT nextval('public.outbox_number_seq'::regclass);
INSERT INTO public.clients VALUES ('CLIENT-666', true, NULL, 0);
INSERT INTO public.commandes VALUES ('WAITS', 'en_attente', 'CLIENT-123', 9999, false, NULL, 1767269700000000, 'desk-1');
INSERT INTO public.commandes VALUES ('PAID', 'creee', 'CLIENT-123', 9999, true, NULL, 1767269700000000, 'desk-3');
INSERT INTO public.commandes VALUES ('EARLY', 'inconnue', NULL, NULL, true, NULL, NULL, NULL);
INSERT INTO public.commandes VALUES ('UNDONE', 'annulee', 'CLIENT-123', 9999, false, 'changement d''avis', 1767269700000000, 'desk-9');
INSERT INTO public.inbox VALUES ('desk-1', '\x8ac7f5719b2db5b10b9232c7712663be', 'commande.initiee', 'WAITS', 1767268800000000);
INSERT INTO public.inbox VALUES ('desk-3', '\x78ac54156e66c1ab2d5adc08ca6b8f9a', 'commande.initiee', 'PAID', 1767268800000000);
INSERT INTO public.inbox VALUES ('desk-5', '\xa2b51d0f07674eca0f379e1980a12879', 'paiement.effectue', 'PAID', 1767268800000000);
INSERT INTO public.inbox VALUES ('desk-7', '\xb31a983bc5cbadd0792b76d3319f12c0', 'paiement.effectue', 'EARLY', 1767268800000000);
INSERT INTO public.inbox VALUES ('desk-9', '\xe220ae0d037bd66ded6ab42f1d481763', 'commande.initiee', 'UNDONE', 1767268800000000);
INSERT INTO public.inbox VALUES ('desk-11', '\xf367d83804cf2f400ec9fa8367985abc', 'commande.annulation_demandee', 'UNDONE', 1767268800000000);
INSERT INTO public.journal VALUES ('WAITS', 'noter', 'done', '{}', 'desk-1', 1767268800000000, NULL, NULL);
INSERT INTO public.journal VALUES ('PAID', 'noter', 'done', '{}', 'desk-3', 1767268800000000, NULL, NULL);
INSERT INTO public.journal VALUES ('PAID', 'creer', 'done', '{}', 'desk-5', 1767268800000000, NULL, NULL);
INSERT INTO public.journal VALUES ('EARLY', 'creer', 'done', '{}', 'desk-7', 1767268800000000, NULL, NULL);
INSERT INTO public.journal VALUES ('UNDONE', 'noter', 'done', '{}', 'desk-9', 1767268800000000, NULL, NULL);
INSERT INTO public.journal VALUES ('UNDONE', 'annuler', 'done', '{}', 'desk-11', 1767268800000000, NULL, NULL);
INSERT INTO public.outbox VALUES (2, '37d13da9-0356-5897-9289-3292be65996b', 'commande.annulee', 'UNDONE', '\x7b227370656376657273696f6e223a22312e30222c226964223a2233376431336461392d303335362d353839372d393238392d333239326265363539393662222c2274797065223a22636f6d6d616e64652e616e6e756c6565222c22736f75726365223a222f73657276696365732f636f6d6d616e6465222c227375626a656374223a22554e444f4e45222c2274696d65223a22323032362d30312d30315431323a30303a30302e3030305a222c2264617461636f6e74656e7474797065223a226170706c69636174696f6e2f6a736f6e222c2264617461736368656d61223a2275726e3a63686f7265677261706869653a636f6d6d616e64652e616e6e756c65653a31222c22636f7272656c6174696f6e6964223a22554e444f4e45222c22636175736174696f6e6964223a226465736b2d3131222c2264617461223a7b22636f6d6d616e64655f6964223a22554e444f4e45222c22726169736f6e223a226368616e67656d656e7420642761766973227d7d', NULL, 1767268800000000, NULL);
INSERT INTO public.outbox VALUES (1, 'ad6a9db1-587a-538c-b488-058c23080c35', 'commande.creee', 'PAID', '\x7b227370656376657273696f6e223a22312e30222c226964223a2261643661396462312d353837612d353338632d623438382d303538633233303830633335222c2274797065223a22636f6d6d616e64652e6372656565222c22736f75726365223a222f73657276696365732f636f6d6d616e6465222c227375626a656374223a2250414944222c2274696d65223a22323032362d30312d30315431323a30303a30302e3030305a222c2264617461636f6e74656e7474797065223a226170706c69636174696f6e2f6a736f6e222c2264617461736368656d61223a2275726e3a63686f7265677261706869653a636f6d6d616e64652e63726565653a31222c22636f7272656c6174696f6e6964223a2250414944222c22636175736174696f6e6964223a226465736b2d35222c2264617461223a7b22636f6d6d616e64655f6964223a2250414944227d7d', NULL, 1767268800000000, 1767268800000000);
INSERT INTO public.service VALUES ('commande', 1, 1);
SELECT pg_catalog.setval('public.outbox_number_seq', 2, true);
ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (client_id);
ALTER TABLE ONLY public.commandes
    ADD CONSTRAINT commandes_pkey PRIMARY KEY (commande_id);
ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (event_id);
ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY (commande_id, action);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_event_id_key UNIQUE (event_id);
ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_pkey PRIMARY KEY (name);
CREATE INDEX commandes_echeance ON public.commandes USING btree (etat, echeance);
CREATE INDEX ix_inbox_commande_id ON public.inbox USING btree (commande_id);
CREATE INDEX ix_inbox_dealt_with_at ON public.inbox USING btree (dealt_with_at);
CREATE INDEX ix_outbox_commande_id ON public.outbox USING btree (commande_id);
CREATE INDEX ix_outbox_said_at ON public.outbox USING btree (said_at);
