import { type ChildProcess, spawn } from 'node:child_process'

// Reads processes to end and folders to remove until its input ends. The kernel closes the input when our process ends,
// also by kill -9. CONT is sent first, because a frozen server does not react to QUIT, with which PostgreSQL frees its
// shared memory. A server whose pid was not sent in time is found by postmaster.pid in the folders; its command line
// must name the folder.
const script = `
pids=' '
while read -r verb value; do
  case "$verb" in
    end) pids="$pids$value " ;;
    forget) case "$pids" in *" $value "*) pids="\${pids%% $value *} \${pids#* $value }" ;; esac ;;
    remove) set -- "$@" "$value" ;;
  esac
done
for folder; do
  for file in "$folder"/postmaster.pid "$folder"/*/postmaster.pid "$folder"/*/*/postmaster.pid; do
    [ -f "$file" ] && read -r pid < "$file" || continue
    case "$(tr '\\0' ' ' < "/proc/$pid/cmdline" || ps -o args= -p "$pid")" in
      *"$folder"*) pids="$pids$pid " ;;
    esac
  done
done
if [ "$pids" != ' ' ]; then
  for signal in CONT QUIT; do kill -$signal $pids; done
  sleep 0.3
  kill -KILL $pids
fi
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$@" && break; sleep 0.2; done
`

let reaper: ChildProcess | undefined

/** Ends a process after this one, even after kill -9. */
export function endAtExit(pid: number): void {
  send(`end ${pid}`)
}

/** Forgets a process that has ended, because another process may get its id. */
export function forgetPid(pid: number): void {
  send(`forget ${pid}`)
}

/** Removes a folder after this process and those of {@link endAtExit} have ended. */
export function removeAtExit(directory: string): void {
  send(`remove ${directory}`)
}

function send(line: string): void {
  if (reaper === undefined) {
    // In its own process group, because the reaper has to survive a Ctrl-C.
    reaper = spawn('/bin/sh', ['-c', script, 'reaper'], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    reaper.unref()
    if (reaper.stdin !== null && 'unref' in reaper.stdin) (reaper.stdin as { unref(): void }).unref()
  }
  reaper.stdin?.write(`${line}\n`)
}
