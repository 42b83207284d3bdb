import type { RedisClient } from './redis-scripts-runner.ts'

/** What we need of a host's client: ioredis' `Redis` and `Cluster` have it. */
export interface HostRedis extends RedisClient {
  readonly status: string
  readonly isCluster: boolean
  duplicate(options?: object): HostRedis
  subscribe(channel: string): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  quit(): Promise<unknown>
  disconnect(): void
  /** Of a single node. */
  readonly stream?: { destroy(): unknown } | undefined
  /** Of a Cluster. */
  nodes?(): HostRedis[]
}
