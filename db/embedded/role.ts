import { Client } from 'pg'

/** The role that everything connects as: no superuser, it owns what is in the database. */
export const ROLE = 'popular_posts_service'

interface RoleOptions {
  port: number
  /** Of the user `postgres`, and then of the role. */
  password: string
  /** The server must be the one of this folder. */
  dataDirectory: string
}

// Any two numbers: see the lock of `presence.ts`.
const LOCK = '1886351984, 3'

/**
 * Makes the role, gives it all that the superuser owns, and takes from the superuser the right to log in: a superuser's SQL
 * reads every file that the server can, and as root that is every file of root's. In one transaction, and again without harm.
 * The role gets the superuser's password by its hash, so that no statement holds a password.
 * @throws what PostgreSQL answered: 28000 where it was done before.
 */
export async function makeRole({ port, password, dataDirectory }: RoleOptions): Promise<void> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    password,
    application_name: 'popular-posts setup',
    connectionTimeoutMillis: 2_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('begin')
    await client.query(`select pg_advisory_xact_lock(${LOCK})`)
    const { rows } = await client.query<{ directory: string }>(`select current_setting('data_directory') as directory`)
    if (rows[0]?.directory !== dataDirectory) return
    await client.query(MAKE)
    await client.query('commit')
  } finally {
    await client.end()
  }
}

const MAKE = `
do $$
declare
  superuser constant oid := (select oid from pg_authid where rolname = 'postgres');
  owned text;
begin
  if not exists (select from pg_roles where rolname = '${ROLE}') then create role ${ROLE}; end if;
  execute format('alter role ${ROLE} login password %L', (select rolpassword from pg_authid where oid = superuser));
  -- To see which folder the server has: see presence.ts.
  grant pg_read_all_settings to ${ROLE};
  alter database postgres owner to ${ROLE};
  for owned in
    with object as (
      select case relkind when 'S' then 'sequence' else 'table' end as kind, oid::regclass::text as name,
        'pg_class'::regclass as class, oid, relnamespace as schema, relowner as owner
      from pg_class where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      union all
      select 'routine', oid::regprocedure::text, 'pg_proc'::regclass, oid, pronamespace, proowner from pg_proc
      union all
      select 'type', oid::regtype::text, 'pg_type'::regclass, oid, typnamespace, typowner from pg_type
      where typtype in ('c', 'd', 'e', 'r')
      union all
      select 'schema', oid::regnamespace::text, 'pg_namespace'::regclass, oid, oid, nspowner from pg_namespace
    )
    select format('%s %s', kind, name) from object
    where owner = superuser and schema::regnamespace::text !~ '^(pg_|information_schema)'
      -- What belongs to a column, a table, a type or an extension goes with that.
      and not exists (select from pg_depend where classid = class and objid = object.oid and objsubid = 0
        and (deptype in ('i', 'e') or deptype = 'a' and kind = 'sequence'))
  loop
    execute format('alter %s owner to ${ROLE}', owned);
  end loop;
  alter role postgres nologin;
end
$$`
