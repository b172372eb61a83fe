//! What every program of the examples does alike: its arguments, its exit code, its end.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
    process::ExitCode,
    str::FromStr,
};

use meshlib::{base::DrainTimes, proxy::server::Server};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Terminal;
use crate::mesh::StartError;

/// The arguments of a command line that are not taken yet.
///
/// ```
/// use meshlib_examples::demo::Arguments;
///
/// let mut arguments = Arguments::new(["--listen", "127.0.0.1:8443", "--once"]);
/// let listen: Option<std::net::SocketAddr> = arguments.option("--listen", "an IP address with a port")?;
/// assert_eq!(listen.map(|address| address.port()), Some(8443));
/// assert!(arguments.flag("--once"));
/// arguments.end()?;
/// # Ok::<(), meshlib_examples::demo::UsageError>(())
/// ```
#[derive(Debug)]
pub struct Arguments(Vec<String>);

/// A wrong command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    /// An error that says this.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for UsageError {}

impl Arguments {
    /// These arguments.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(arguments.into_iter().map(Into::into).collect())
    }

    /// Takes `name` and the value behind it, which is `what`.
    ///
    /// # Errors
    /// There is no value, or it is something else.
    pub fn option<T: FromStr>(&mut self, name: &str, what: &str) -> Result<Option<T>, UsageError> {
        let Some(place) = self.0.iter().position(|argument| argument == name) else { return Ok(None) };
        self.0.remove(place);
        if place == self.0.len() {
            return Err(UsageError(format!("{name} needs a value: {what}")));
        }
        let value = self.0.remove(place);
        let wrong = |_| UsageError(format!("{name}: {value:?} is not {what}"));
        value.parse().map(Some).map_err(wrong)
    }

    /// Takes `name`; whether it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let place = self.0.iter().position(|argument| argument == name);
        place.map(|place| self.0.remove(place)).is_some()
    }

    /// All that the program knows has been taken.
    ///
    /// # Errors
    /// Something is left.
    pub fn end(&self) -> Result<(), UsageError> {
        match self.0.first() {
            Some(left) => Err(UsageError(format!("{left:?} is not known, or stands there twice"))),
            None => Ok(()),
        }
    }
}

/// Runs a program on the arguments of this process: code 0 in the end, also when nobody reads the output any more
/// (`program | head`), 1 when it failed, 2 for a [`UsageError`], which shows `usage` too. `--help` shows it alone.
pub async fn program(name: &str, usage: &str, run: impl AsyncFnOnce(Arguments) -> Result<(), StartError>) -> ExitCode {
    let mut arguments = Arguments::new(std::env::args().skip(1));
    if arguments.flag("--help") || arguments.flag("-h") {
        let _ = writeln!(io::stdout(), "{usage}");
        return ExitCode::SUCCESS;
    }
    let Err(error) = run(arguments).await else { return ExitCode::SUCCESS };
    if is_closed_pipe(error.as_ref()) {
        return ExitCode::SUCCESS;
    }
    let is_usage = error.is::<UsageError>();
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr(), "{name}: {error}");
    if is_usage {
        let _ = writeln!(io::stderr(), "{usage}");
    }
    ExitCode::from(if is_usage { 2 } else { 1 })
}

fn is_closed_pipe(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What meshlib reports of itself (a name that does not resolve, a certificate that was swapped) goes to the standard
/// error from here on.
pub fn log_to_stderr() {
    let log = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::WARN);
    // There is no other logger in this process, so this cannot fail.
    let _ = log.with_writer(io::stderr).with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init();
}

/// SIGTERM and SIGINT (Ctrl-C), from the moment when this is made.
#[derive(Debug)]
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Listens for both; they do not end the process by themselves any more.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Lets `server` serve until the first signal, then drain until its end or the second signal. Somebody who asks
    /// the admin interface for `/quitquitquit` ends it too.
    ///
    /// # Errors
    /// Those of the output.
    pub async fn drain<W: Write>(&mut self, server: &Server, terminal: &mut Terminal<W>) -> io::Result<()> {
        tokio::select! {
            () = server.finished() => return Ok(()),
            () = self.next() => {}
        }
        let times = DrainTimes::default();
        let accept = times.accept.as_secs();
        server.drain(times);
        terminal.line(&format!("Draining: connections are taken for {accept} s more. The same again ends at once."))?;
        tokio::select! {
            () = server.finished() => {}
            () = self.next() => server.stop(),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage<T: fmt::Debug>(result: Result<T, UsageError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn options_and_flags_are_taken_in_any_order() {
        let mut arguments = Arguments::new(["--once", "--port", "80"]);
        assert_eq!(arguments.option::<u16>("--port", "a port").unwrap(), Some(80));
        assert_eq!(arguments.option::<u16>("--other", "a port").unwrap(), None);
        assert!(arguments.flag("--once") && !arguments.flag("--once"));
        arguments.end().unwrap();
    }

    #[test]
    fn wrong_arguments_say_what_is_wrong() {
        let port = |arguments: &[&str]| Arguments::new(arguments.iter().copied()).option::<u16>("--port", "a port");
        assert_eq!(usage(port(&["--port"])), "--port needs a value: a port");
        assert_eq!(usage(port(&["--port", "http"])), "--port: \"http\" is not a port");
        assert_eq!(usage(Arguments::new(["-x"]).end()), "\"-x\" is not known, or stands there twice");
    }
}
