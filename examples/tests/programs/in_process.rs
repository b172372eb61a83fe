//! The programs `axum-in-mesh`, `in-process-mesh` and `custom-filter`.

use std::{fs, path::Path};

use meshlib_examples::demo::Loopback;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Running, plain, program, run};

/// The example's own file with other ports, in a directory of its own.
fn file(example: &str, ports: &[(&str, u16)]) -> (TempDir, String) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example).join("envoy.yaml");
    let mut text = fs::read_to_string(source).unwrap();
    for (from, to) in ports {
        let from = format!("port_value: {from}}}");
        assert!(text.contains(&from), "{from}");
        text = text.replace(&from, &format!("port_value: {to}}}"));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("envoy.yaml");
    fs::write(&path, text).unwrap();
    (directory, path.display().to_string())
}

async fn get(url: &str) -> String {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn axum_is_served_by_the_listener_of_the_file() {
    let (_directory, config) = file("axum_in_mesh", &[("8080", 0), ("8090", 0)]);
    let mut axum = Running::start(program("axum-in-mesh").args(["--config", &config]));
    axum.until("Try (Ctrl-C drains and ends)");
    let printed = axum.until("Access log");
    let urls: Vec<_> = printed.lines().filter_map(|line| line.rsplit_once(' ')).map(|(_, url)| url).collect();
    let [hello, health, stats] = urls[..] else { panic!("{printed}") };
    let answer = get(hello).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nserver: envoy\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello world, from 127.0.0.1\n"), "{answer}");
    assert_eq!(axum.line(), "GET /hello/world 200 28");
    assert!(get(health).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(get(stats).await.contains("http.ingress.downstream_rq_2xx: 1\n"));
    axum.signal("TERM");
    axum.until("Draining: connections are taken for 5 s more. The same again ends at once.");
    assert!(get(health).await.starts_with("HTTP/1.1 503 "));
    axum.signal("TERM");
    assert_eq!(axum.end().0.code(), Some(0));
}

#[test]
fn axum_gets_no_listener_that_is_not_there() {
    let output = run("axum-in-mesh", &["--listener", "egress"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(plain(&output.stderr), "axum-in-mesh: there is no listener `egress`: there is `ingress`\n");
}

#[tokio::test]
async fn both_sides_of_a_mesh_in_one_process() {
    let reserved = Loopback::reserve(&["127.0.0.1".parse().unwrap()]).unwrap();
    let (_directory, config) = file("in_process_mesh", &[("8786", reserved.port())]);
    let output = run("in-process-mesh", &["--config", &config]);
    assert!(output.status.success(), "{}", plain(&output.stderr));
    let printed = plain(&output.stdout);
    let (lines, requests) = printed.trim_end().rsplit_once(": ").unwrap();
    assert_eq!(
        lines,
        "over the network answered by a host on 127.0.0.1\n\
         in the process answered by this process\n\
         calls of the cluster: 1\n\
         requests of the listener, health checks included"
    );
    // The first health check may come before the listener is bound.
    assert!(["2", "3"].contains(&requests), "{requests}");
}

#[test]
fn filters_of_the_programs_own() {
    let output = run("custom-filter", &[]);
    assert!(output.status.success(), "{}", plain(&output.stderr));
    let text = plain(&output.stdout);
    let (answers, mistakes) = text.split_once("\n\nWith a mistake\n").unwrap();
    assert_eq!(
        answers,
        "tenant red: 200 OK, allowed origin Some(\"*\")\ntenant green: 403 Forbidden, allowed origin Some(\"*\")"
    );
    for part in [
        "error[E012]: unknown field `haeder` in `acme.TenantCfg`",
        "did you mean `header`?",
        "error: envoy.yaml has 1 error",
    ] {
        assert!(mistakes.contains(part), "{part}: {mistakes}");
    }
}
