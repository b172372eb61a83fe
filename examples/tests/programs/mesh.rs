//! The program `mesh`.

use std::process::{Child, Stdio};

use crate::support::{Running, plain, program, run};

fn start(arguments: &[&str]) -> Child {
    program("mesh").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The program's output, once it has ended well.
fn told(mesh: Child) -> String {
    let output = mesh.wait_with_output().unwrap();
    let (text, complaint) = (plain(&output.stdout), plain(&output.stderr));
    assert!(output.status.success() && complaint.is_empty(), "{text}\n{complaint}");
    text
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn copies_run_at_once_and_tell_their_stories() {
    let (one, other, published) = (start(&["--once"]), start(&["--once"]), start(&["--as-published", "--once"]));
    for text in [told(one), told(other)] {
        assert_has(
            &text,
            &[
                "\nheader: server: envoy\n",
                "\nheader: x-envoy-upstream-service-time: ",
                "\ntrailer: grpc-status: 0\n",
                "\n3 of 3 healthy, no panic\n",
                "\npod-2 is killed\n",
                "\npod-4 is added\n",
                "; 0 calls failed.\n",
            ],
        );
        assert!(!text.contains("Your turn"), "{text}");
    }
    let text = told(published);
    assert_has(&text, &["\n0 of 3 healthy, panic: health is ignored\n", "\nWhy it works all the same\n"]);
}

#[test]
fn it_serves_until_it_is_told_to_end() {
    let mut mesh = Running::start(program("mesh").arg("--as-published"));
    mesh.until("Your turn (Ctrl-C ends)");
    let line = mesh.line();
    let url = line.strip_prefix("cargo run --example call -- ").and_then(|rest| rest.strip_suffix(" hello")).unwrap();
    let called = run("call", &[url, "your turn"]);
    assert_has(&plain(&called.stdout), &["\nhostname: pod-", "\nResponse contents\nyour turn\n"]);
    mesh.signal("TERM");
    let (status, rest) = mesh.end();
    assert_eq!(status.code(), Some(0));
    assert_has(&rest, &["\nThe last lines of the edge's access log\n", "\"POST /api.Echo/Echo HTTP/2\" 200 "]);
}

#[test]
fn it_ends_in_the_midst_of_its_story() {
    let mut mesh = Running::start(program("mesh").arg("--once"));
    mesh.until("The mesh is up");
    mesh.signal("INT");
    let (status, rest) = mesh.end();
    assert_eq!(status.code(), Some(0));
    assert!(!rest.contains("pod-4 is added"), "{rest}");
}

#[test]
fn wrong_arguments_are_refused() {
    let output = run("mesh", &["--once", "--twice"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(plain(&output.stderr).starts_with("mesh: \"--twice\" is not known, or stands there twice\nusage: mesh "));
    let help = run("mesh", &["--help"]);
    assert!(help.status.success() && plain(&help.stdout).starts_with("usage: mesh "));
}
