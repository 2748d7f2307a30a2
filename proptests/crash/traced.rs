//! The order of the service's own system calls, seen by `strace`: a group is written, is on stable storage, and only then
//! anybody hears of it. Where `strace` is missing, or may not look, this says so and skips.

use crate::crowd::{Crowd, Town};
use crate::harness::{Said, Service, Tenant, call_of};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

const TOWN: Town = Town { people: 20, devices: 5, pools: 2, seats: 3 };
const COMMANDS: usize = 60;
const CALLS: &str = "trace=recvfrom,sendto,write,writev,pwrite64,pwritev,fdatasync";

/// `strace`, looking at a running service, with the pipe into which it also says that it has seen a new thread: it would die of
/// one that nobody holds.
fn watch(service: &Service, into: &std::path::Path) -> Option<(Child, ChildStderr)> {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-tt", "-s", "96", "-e", CALLS, "-o"]).arg(into).args(["-p", &service.pid().to_string()]);
    let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
        eprintln!("SKIPPED: strace is not installed");
        return None;
    };
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("its words");
    for line in BufReader::new(&mut stderr).lines().map_while(Result::ok) {
        if line.contains("attached") {
            return Some((child, stderr));
        }
        said += &line;
    }
    let _ended = child.wait();
    eprintln!("SKIPPED: strace may not look at the service: {said}");
    None
}

/// The lines of a trace, each call that was interrupted put together at the moment at which it was complete.
fn completed(trace: &str) -> Vec<String> {
    let mut begun: std::collections::BTreeMap<&str, &str> = std::collections::BTreeMap::new();
    let mut lines = Vec::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        if let Some(first) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, first);
            // a write that reaches a client is out as soon as it has begun
            lines.push(format!("begun {first}"));
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            let first = begun.remove(thread).unwrap_or_default();
            lines.push(format!("{first}{end}"));
        } else {
            lines.push(rest.to_owned());
        }
    }
    lines
}

#[test]
fn no_answer_goes_out_before_its_group_is_on_stable_storage() {
    let service = Service::start();
    let t = service.tenant();
    TOWN.build(&t);
    let folder = tempfile::tempdir().expect("a folder for the trace");
    let path = folder.path().join("trace");
    let Some((mut strace, _held)) = watch(&service, &path) else { return };
    let mut crowd = Crowd::new(TOWN, "traced".to_owned(), 7);
    // one connection, one command at a time: whatever lies between a request and its answer is that command's
    let t = Tenant::new(&service.root(), &t.name);
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..COMMANDS {
        let command = crowd.act();
        let said = Said::of(&call_of(&t, &command).send()).expect("judged");
        crowd.heard(&command, &said);
        kinds.insert(said.status);
    }
    assert_eq!(kinds.len(), 3, "done, unchanged and refused: {kinds:?}");
    drop(service);
    std::thread::sleep(Duration::from_millis(200));
    let _ended = strace.wait();
    let trace = std::fs::read_to_string(&path).expect("a trace");
    let mut answers = 0;
    // what has happened since the last request came in
    let (mut written, mut synced) = (None, false);
    for line in completed(&trace) {
        let is_begun = line.starts_with("begun ");
        if line.contains("recvfrom(") && line.contains("/v1/tenants/") && !is_begun {
            (written, synced) = (None, false);
        } else if line.contains("pwrite") && line.contains("/journal/") && !is_begun {
            written = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(file, _)| file.to_owned());
            synced = false;
        } else if line.contains("fdatasync(") && line.ends_with("= 0") && !is_begun {
            synced |= written.as_ref().is_some_and(|file| line.contains(file.as_str()));
        } else if line.contains("\"HTTP/1.1 ") {
            assert!(synced, "an answer before its group was synced ({written:?}): {line}\n{trace}");
            answers += u32::from(!is_begun);
        }
    }
    assert!(answers as usize >= COMMANDS, "{answers} answers were seen:\n{trace}");
}
