-- The default destination. Left alone when it is there, and left out where this role may not
-- create in schema public: a configuration may well use another table.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relname = 'cxone_events') THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace
                   WHERE nspname = 'public'
                   AND pg_catalog.has_schema_privilege(oid, 'USAGE')
                   AND pg_catalog.has_schema_privilege(oid, 'CREATE')) THEN
        RAISE NOTICE 'public.cxone_events is left out: no right to create in schema public';
        RETURN;
    END IF;
    CREATE TABLE public.cxone_events (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        interaction_id varchar(255) NOT NULL,
        "timestamp" timestamptz NOT NULL,
        type varchar(50) NOT NULL,
        idempotency_key varchar(255) UNIQUE NOT NULL,
        duration double precision,
        disposition varchar(255),
        queue_name varchar(255),
        agent_id varchar(255),
        attributes jsonb,
        created_at timestamptz DEFAULT now(),
        updated_at timestamptz DEFAULT now()
    );
END $$;
