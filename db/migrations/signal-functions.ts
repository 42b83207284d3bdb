import { type Kysely, sql } from 'kysely'
import { inLiteral, SAFE_PATH } from './safe-sql.ts'
import { watchFunction, writeWatcherFunction } from './watch-functions.ts'

/**
 * Makes the functions, or replaces those that are there: see `withSafePath`.
 * @param schema where they belong, quoted.
 * @param announce `create or replace` keeps who may execute it, and must not be given a function of another role.
 */
export async function installSignalFunctions(
  db: Kysely<unknown>,
  schema: string,
  announce: 'create' | 'create or replace',
): Promise<void> {
  for (const [name, args] of [
    ['watch', 'regclass, text[], text, text, text[]'],
    ['watch', 'regclass, text[], text, text, text[], name[]'],
    ['unwatch', 'regclass'],
    ['write_watcher', 'text, regclass, text, text, text, text, text, name[]'],
    ['failed', 'text, text, text'],
  ])
    await sql.raw(`drop function if exists ${schema}.popular_posts_${name}(${args})`).execute(db)
  await sql.raw(`${announce} ${announceFunction(schema)}`).execute(db)
  for (const text of [failedFunction, writeWatcherFunction, watchFunction, unwatchFunction])
    await sql.raw(`create ${text(schema)}`).execute(db)
  for (const name of ['announce', 'failed'])
    await sql.raw(`revoke execute on function ${schema}.popular_posts_${name} from public`).execute(db)
}

/**
 * `popular_posts_announce(change, effective_at)`: says that lists change, now or (a scheduled post) at a later moment.
 * It runs with the rights of its owner, so that the writer needs none here; it is not for the public.
 */
const announceFunction = (schema: string) => `
function ${schema}.popular_posts_announce(change text, effective_at timestamptz default now()) returns void
language plpgsql security definer ${SAFE_PATH} as $function$
declare
  since constant timestamptz := greatest(effective_at, now());
begin
  insert into ${schema}.popular_posts_change (change, changed_at) values (change, since) on conflict do nothing;
  if not found then return; end if;
  perform pg_notify('popular_posts', case
    when since <= clock_timestamp() then concat_ws(' ', change, pg_current_xact_id(), extract(epoch from since))
    else 'later'
  end);
end
$function$`

/**
 * Called where a trigger function fails: says that everything may have changed, keeps the reason for the log of the next start,
 * and warns, the first time. Rows are only added, under the number of their transaction: writers do not wait for each other.
 */
const failedFunction = (schema: string) => `
function ${schema}.popular_posts_failed(failing text, code text, message text) returns void
language plpgsql security definer ${SAFE_PATH} as $function$
begin
  perform ${schema}.popular_posts_announce('hard', now());
  if exists (select from ${schema}.popular_posts_watch_failure where watcher = failing) then return; end if;
  insert into ${schema}.popular_posts_watch_failure (watcher, code, message) values (failing, code, message)
    on conflict do nothing;
  raise warning 'popular posts: the trigger function % fails (% %), so each write to its table makes all lists outdated: call popular_posts_watch for the table again',
    failing, code, message;
end
$function$`

/** `popular_posts_unwatch(table)`: takes back what `popular_posts_watch` has made. */
const unwatchFunction = (schema: string) => `
function ${schema}.popular_posts_unwatch(watched regclass) returns void language plpgsql ${SAFE_PATH} as $unwatch$
declare
  made record;
  name text;
begin
  for made in
    select array_agg(tgname) as triggers, tgfoid::regprocedure as trigger_function
    from pg_trigger join pg_proc on pg_proc.oid = tgfoid
    where tgrelid = watched and proname like 'popular\\_posts\\_watch\\_%'
      and pronamespace = '${inLiteral(schema)}'::regnamespace
    group by tgfoid
  loop
    foreach name in array made.triggers loop
      execute format('drop trigger %I on %s', name, watched);
    end loop;
    execute format('drop function %s', made.trigger_function);
  end loop;
end
$unwatch$`
