import { type ChildProcess, spawn } from 'node:child_process'

// Reads what to end and what to remove until its input ends, which the kernel sees to however we die, kill -9 included.
// CONT first: a frozen server does not hear QUIT, by which PostgreSQL gives its shared memory back. A server that was
// started in our last moment has not been told of: it is found in the folders, and checked to be theirs.
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

/** Has a process ended when this one is over, however it ends. */
export function endWithUs(pid: number): void {
  tell(`end ${pid}`)
}

/** Its process is gone: its id may soon be somebody else's. */
export function forgetPid(pid: number): void {
  tell(`forget ${pid}`)
}

/** Has a folder removed when this process is over, after the processes have ended. */
export function removeWithUs(directory: string): void {
  tell(`remove ${directory}`)
}

function tell(line: string): void {
  if (reaper === undefined) {
    // A group of its own: a Ctrl-C is for us, and the reaper has its work to do then.
    reaper = spawn('/bin/sh', ['-c', script, 'reaper'], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    reaper.unref()
    if (reaper.stdin !== null && 'unref' in reaper.stdin) (reaper.stdin as { unref(): void }).unref()
  }
  reaper.stdin?.write(`${line}\n`)
}
