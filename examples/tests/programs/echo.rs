//! The programs `echo-grpc` and `call`.

use meshlib_examples::client::EchoClient;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Running, plain, program, run};

/// Starts `echo-grpc` as pod-9, on a port of its own.
fn start(drain_seconds: &str) -> (Running, String) {
    let mut command = program("echo-grpc");
    let mut echo =
        Running::start(command.env("PORT", "0").env("HOSTNAME", "pod-9").env("DRAIN_SECONDS", drain_seconds));
    let line = echo.line();
    let port = line.strip_prefix("listening on 0.0.0.0:").and_then(|rest| rest.strip_suffix(" as pod-9"));
    let url = format!("http://127.0.0.1:{}", port.unwrap_or_else(|| panic!("{line:?}")));
    (echo, url)
}

#[test]
fn call_prints_what_the_application_answered() {
    let (_echo, url) = start("0");
    let output = run("call", &[&url, "hello there"]);
    let text = plain(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let expected =
        ["Response headers\n", "hostname: pod-9\n", "\nResponse contents\nhello there\n", "grpc-status: 0\n"];
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn call_tells_its_failures_apart() {
    assert_eq!(run("call", &["http://127.0.0.1:1"]).status.code(), Some(2));
    assert_eq!(run("call", &["--help"]).status.code(), Some(0));
    for url in ["localhost:80", "ftp://localhost:80", "http://", "https:// /", ""] {
        let wrong = run("call", &[url, "text"]);
        assert_eq!(wrong.status.code(), Some(2), "{url}");
        assert!(plain(&wrong.stderr).starts_with(&format!("call: {url}: ")), "{url}: {}", plain(&wrong.stderr));
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = run("call", &[&format!("https://{closed}"), "text"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(plain(&refused.stderr).starts_with("call: cannot connect: "));
}

// Reading the program's lines blocks: the client's connection needs a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn signals_turn_the_health_and_end_the_program() {
    let (mut echo, url) = start("3600");
    let client = EchoClient::connect(&url).await.unwrap();
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
    let (status, rest) = echo.end();
    assert_eq!((status.code(), rest.as_str()), (Some(0), "stopping: finishing the calls in flight"));
}

#[test]
fn wrong_settings_are_refused() {
    let echo = |variable: &str, value: &str| program("echo-grpc").env("PORT", "0").env(variable, value).output();
    for (variable, value, said) in [
        ("PORT", "http", "PORT: \"http\" is not a number in its range"),
        ("PORT", "65536", "PORT: \"65536\" is not a number in its range"),
        ("DRAIN_SECONDS", "-1", "DRAIN_SECONDS: \"-1\" is not a number in its range"),
        ("HOSTNAME", "a\nb", "\"a\\nb\" cannot be sent as a header value"),
    ] {
        let output = echo(variable, value).unwrap();
        assert_eq!((output.status.code(), plain(&output.stderr)), (Some(1), format!("echo-grpc: {said}\n")));
    }
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let output = echo("PORT", &taken.local_addr().unwrap().port().to_string()).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(plain(&output.stderr).contains("in use"), "{}", plain(&output.stderr));
    assert_eq!(run("echo-grpc", &["8080"]).status.code(), Some(2));
}
