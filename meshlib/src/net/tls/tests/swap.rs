use std::{
    fmt::Write,
    path::Path,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::*;

struct Files {
    folder: TempDir,
}

impl Files {
    fn new(pem: &Pem) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.write("tls.crt", &pem.chain);
        files.write("tls.key", &pem.key);
        files
    }

    /// As an atomic rename does it: another inode, so that no clock tick matters.
    fn write(&self, name: &str, content: &str) {
        let (new, path) = (self.folder.path().join("new"), self.folder.path().join(name));
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn config(&self) -> CertificateConfig {
        CertificateConfig::files(self.folder.path().join("tls.crt"), self.folder.path().join("tls.key"))
    }
}

/// Lets the watching task look at least once.
async fn a_look() {
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

async fn leaf(acceptor: &TlsAcceptor) -> Option<CertificateDer<'static>> {
    Client::new().connect(acceptor, "a.example").await.unwrap().0.leaf
}

/// Remembers warnings and what they say.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("meshlib")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{field}={value:?} ").unwrap();
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_half_written_pair_is_no_outage_and_one_warning() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    // With a single subscriber, tracing asks only the thread that meets a log line first, for all threads and for ever.
    let _second = tracing::Dispatch::new(Warnings::default());
    let (old, new) = (ecdsa(&["a.example"]), ecdsa(&["a.example"]));
    let files = Files::new(&old);
    let (acceptor, stats) = acceptor(DownstreamTlsConfig::new(vec![files.config()]));
    assert_eq!(leaf(&acceptor).await, Some(old.leaf()));

    files.write("tls.crt", &new.chain);
    a_look().await;
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(old.leaf()), "the key has not arrived: the old pair stays");
    let told = warnings.0.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("tls.crt") && told[0].contains("tls.key") && told[0].contains("does not belong"),
        "{told:?}"
    );

    files.write("tls.key", &new.key);
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(new.leaf()));
    assert_eq!(stats.counter_value("listener.l.ssl.certificate_update"), Some(1));
    assert_eq!(stats.counter_value("listener.l.ssl.certificate_update_rejected"), Some(1));
    assert_eq!(warnings.0.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_new_failure_is_told_and_a_vanished_file_harms_nothing() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    // With a single subscriber, tracing asks only the thread that meets a log line first, for all threads and for ever.
    let _second = tracing::Dispatch::new(Warnings::default());
    let (old, new) = (ecdsa(&["a.example"]), ecdsa(&["a.example"]));
    let files = Files::new(&old);
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![files.config()]));

    for content in ["", &new.chain[..new.chain.len() / 2]] {
        files.write("tls.crt", content);
        a_look().await;
    }
    std::fs::remove_file(files.folder.path().join("tls.crt")).unwrap();
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(old.leaf()));
    let told = warnings.0.lock().unwrap().clone();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("empty") && told[1].contains("cut off") && told[2].contains("cannot be read"), "{told:?}");

    files.write("tls.key", &new.key);
    files.write("tls.crt", &new.chain);
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(new.leaf()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_pair_is_tried_again_though_its_fingerprint_stays() {
    let (old, new) = (ecdsa(&["a.example"]), ecdsa(&["a.example"]));
    let files = Files::new(&old);
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![files.config()]));
    let path = files.folder.path().join("tls.crt");
    let at = |time: SystemTime| std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();

    // Same size, same inode, same time: a second write within one tick of the file system's clock.
    files.write("tls.key", &new.key);
    files.write("tls.crt", &"x".repeat(new.chain.len()));
    at(SystemTime::UNIX_EPOCH);
    a_look().await;
    std::fs::write(&path, &new.chain).unwrap();
    at(SystemTime::UNIX_EPOCH);
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(new.leaf()));
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_kubernetes_volume_swaps_a_link() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let version = |name: &str, pem: &Pem| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("tls.crt"), &pem.chain).unwrap();
        std::fs::write(path.join("tls.key"), &pem.key).unwrap();
        symlink(name, folder.path().join("..data_tmp")).unwrap();
        std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    };
    let (old, new) = (ecdsa(&["a.example"]), ecdsa(&["a.example"]));
    version("..2026_01", &old);
    let [chain, key] = ["tls.crt", "tls.key"].map(|name| {
        let path = folder.path().join(name);
        symlink(Path::new("..data").join(name), &path).unwrap();
        path
    });
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![CertificateConfig::files(chain, key)]));
    assert_eq!(leaf(&acceptor).await, Some(old.leaf()));
    version("..2026_02", &new);
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(new.leaf()));
}

#[tokio::test(start_paused = true)]
async fn sessions_resume_across_a_swap() {
    let (old, new) = (ecdsa(&["a.example"]), ecdsa(&["a.example"]));
    let files = Files::new(&old);
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![files.config()]));
    let client = Client::new();
    client.connect(&acceptor, "a.example").await.unwrap();
    files.write("tls.crt", &new.chain);
    files.write("tls.key", &new.key);
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(new.leaf()));
    assert!(client.connect(&acceptor, "a.example").await.unwrap().0.resumed);
}

#[tokio::test(start_paused = true)]
async fn one_bad_pair_does_not_hold_back_the_others() {
    let (a, b, new) = (ecdsa(&["a.example"]), ecdsa(&["b.example"]), ecdsa(&["a.example"]));
    let (files_a, files_b) = (Files::new(&a), Files::new(&b));
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![files_a.config(), files_b.config()]));
    files_b.write("tls.key", "broken");
    files_a.write("tls.crt", &new.chain);
    files_a.write("tls.key", &new.key);
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(new.leaf()));
    let (seen, _) = Client::new().connect(&acceptor, "b.example").await.unwrap();
    assert_eq!(seen.leaf, Some(b.leaf()));
}

#[tokio::test(start_paused = true)]
async fn handshakes_go_on_through_a_hundred_swaps() {
    let pems: Vec<_> = (0..8).map(|_| ecdsa(&["a.example"])).collect();
    let files = Files::new(&pems[0]);
    let (acceptor, stats) = acceptor(DownstreamTlsConfig::new(vec![files.config()]));
    let swaps = async {
        for round in 1..=100 {
            let pem = &pems[round % pems.len()];
            files.write("tls.key", &pem.key);
            tokio::time::sleep(Duration::from_millis(700)).await;
            files.write("tls.crt", &pem.chain);
            tokio::time::sleep(Duration::from_millis(1700)).await;
        }
    };
    let handshakes = async {
        // The client checks that the server holds the key of the certificate it showed.
        for _ in 0..400 {
            assert!(leaf(&acceptor).await.is_some());
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
    };
    tokio::join!(swaps, handshakes);
    a_look().await;
    assert_eq!(leaf(&acceptor).await, Some(pems[100 % 8].leaf()));
    assert_eq!(stats.counter_value("listener.l.ssl.connection_error"), Some(0));
    let swapped = stats.counter_value("listener.l.ssl.certificate_update").unwrap();
    assert_eq!(swapped, 100);
}

#[tokio::test(start_paused = true)]
async fn the_watching_task_ends_with_the_last_acceptor() {
    let files = Files::new(&ecdsa(&["a.example"]));
    let runtime = tokio::runtime::Handle::current();
    let (acceptor, _) = acceptor(DownstreamTlsConfig::new(vec![files.config()]));
    let clone = acceptor.clone();
    assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    drop(acceptor);
    a_look().await;
    assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    drop(clone);
    a_look().await;
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}
