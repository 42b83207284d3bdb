import { type Config, ConfigError, readConfig } from './config.ts'

/**
 * Reads the configuration of the service from environment variables.
 * @throws ConfigError that lists every problem; also if BACKGROUND_WORK is false, and the process would lose data, or no schedule
 * could call it.
 */
export function readServiceConfig(): Config {
  const config = readConfig()
  const { databaseUrl, redisUrl, adminToken, backgroundWork } = config
  if (!backgroundWork && (databaseUrl === undefined || redisUrl === undefined || adminToken === undefined))
    throw new ConfigError(
      'With BACKGROUND_WORK=false a process keeps no data, and a schedule calls it: set DATABASE_URL, REDIS_URL and ADMIN_TOKEN.',
    )
  return config
}
