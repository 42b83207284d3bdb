/**
 * What `npm test` leaves to `npm run test:all`, and so to CI: two thirds of the processor time, for promises that few changes
 * touch. Whole installations, deployments, browsers and fleets of processes, and what is sent by the thousand.
 */
export const SLOW: readonly string[] = [
  'test/browser/element.test.ts',
  'test/browser/site.test.ts',
  'test/db/listen.test.ts',
  'test/build.test.ts',
  'test/embedded/database.test.ts',
  'test/embedded/errors.test.ts',
  'test/embedded/processes.test.ts',
  'test/embedded/server.test.ts',
  'test/examples.test.ts',
  'test/fleet/backlog.test.ts',
  'test/fleet/holders.test.ts',
  'test/fleet/outages.test.ts',
  'test/fleet/stampede.test.ts',
  'test/fleet/torture.test.ts',
  'test/fleet/views.test.ts',
  'test/http/hostile.test.ts',
  'test/http/live-names.test.ts',
  'test/http/readiness.test.ts',
  'test/install.test.ts',
  'test/lambda/cluster.test.ts',
  'test/lambda/faults.test.ts',
  'test/lambda/template.test.ts',
  'test/package.test.ts',
  'test/readme.test.ts',
  'test/service-import.test.ts',
  'test/service-refusals.test.ts',
  'test/signals/adopting.test.ts',
  'test/types.test.ts',
]
