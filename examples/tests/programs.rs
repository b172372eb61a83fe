//! The programs `echo-grpc` and `call`, run as processes.
#![cfg(test)]

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use meshlib_examples::client::EchoClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Where cargo puts the examples: beside `deps`, where this test is.
fn program(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let path: PathBuf = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build -p meshlib-examples --examples", path.display());
    Command::new(path)
}

struct EchoProgram {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: String,
}

impl EchoProgram {
    fn start(drain_seconds: &str) -> Self {
        let mut command = program("echo-grpc");
        command.env("PORT", "0").env("HOSTNAME", "pod-9").env("DRAIN_SECONDS", drain_seconds);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let port = line.strip_prefix("listening on 0.0.0.0:").and_then(|rest| rest.strip_suffix(" as pod-9"));
        let port = port.unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, lines, port }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for EchoProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn call(arguments: &[&str]) -> Output {
    program("call").args(arguments).output().unwrap()
}

#[test]
fn call_prints_what_the_application_answered() {
    let echo = EchoProgram::start("0");
    let output = call(&[&format!("http://127.0.0.1:{}", echo.port), "hello there"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let expected =
        ["Response headers\n", "hostname: pod-9\n", "\nResponse contents\nhello there\n", "grpc-status: 0\n"];
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains('\x1b'), "a pipe gets no colours");
}

#[test]
fn call_tells_its_failures_apart() {
    assert_eq!(call(&["http://127.0.0.1:1"]).status.code(), Some(2));
    let wrong = call(&["localhost:80", "text"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().starts_with("call: localhost:80: "));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = call(&[&format!("https://{closed}"), "text"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8(refused.stderr).unwrap().starts_with("call: cannot connect: "));
}

// Reading the program's lines blocks: the client's connection needs a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn signals_turn_the_health_and_end_the_program() {
    let mut echo = EchoProgram::start("3600");
    let client = EchoClient::connect(&format!("http://127.0.0.1:{}", echo.port)).await.unwrap();
    let mut health = HealthClient::new(client.channel());
    let mut states = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let mut next = async || states.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    echo.signal("USR1");
    assert_eq!(next().await, ServingStatus::NotServing);
    echo.signal("USR2");
    assert_eq!(next().await, ServingStatus::Serving);
    assert_eq!([echo.line(), echo.line()], ["health: NOT_SERVING", "health: SERVING"]);

    echo.signal("TERM");
    assert_eq!(next().await, ServingStatus::NotServing);
    assert_eq!(echo.line(), "health: NOT_SERVING, serving on for 3600 s");
    assert_eq!(client.echo("draining").await.unwrap().content, "draining");
    // A watch never ends by itself: it would be cut after the limit.
    drop((states, health, client));
    echo.signal("TERM");
    assert_eq!(echo.line(), "stopping: finishing the calls in flight");
    assert!(echo.lines.next().is_none());
    assert!(echo.child.wait().unwrap().success());
}

#[test]
fn a_port_that_is_no_number_is_refused() {
    let output = program("echo-grpc").env("PORT", "http").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "echo-grpc: PORT: \"http\" is not a number in its range\n");
}
