//! One call of the echo application, directly or through a proxy, with everything that came back.
//!
//! ```sh
//! cargo run --example call -- https://127.0.0.1:8443 hello
//! cargo run --example call -- http://127.0.0.1:8080 hello
//! ```
//!
//! Any certificate is accepted. The exit code is 0 for an answer, 1 for a call that failed, 2 for wrong arguments and
//! 3 when there was no connection.

use std::io::{self, Write};
use std::process::ExitCode;

use meshlib_examples::client::{ClientError, EchoClient, Reply};
use meshlib_examples::demo::{Colour, Terminal};
use tonic::metadata::{KeyAndValueRef, MetadataMap};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NO_CONNECTION: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, text] = arguments.as_slice() else {
        complain("usage: call URL TEXT, for example: call https://127.0.0.1:8443 hello");
        return ExitCode::from(if arguments == ["--help"] { 0 } else { USAGE });
    };
    match call(url, text).await {
        Ok(reply) => match print(&reply) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&format!("cannot write to the standard output: {error}"));
                ExitCode::from(FAILED)
            }
        },
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(match error {
                ClientError::Address(_) => USAGE,
                ClientError::Connect(_) => NO_CONNECTION,
                ClientError::Status(_) => FAILED,
            })
        }
    }
}

async fn call(url: &str, text: &str) -> Result<Reply, ClientError> {
    EchoClient::connect(url).await?.echo(text).await
}

fn print(reply: &Reply) -> io::Result<()> {
    let mut output = Terminal::stdout();
    print_metadata(&mut output, "Response headers", &reply.headers)?;
    output.heading("Response contents")?;
    output.line(&reply.content)?;
    print_metadata(&mut output, "Response trailers", &reply.trailers)
}

fn print_metadata(output: &mut Terminal<io::Stdout>, heading: &str, metadata: &MetadataMap) -> io::Result<()> {
    output.heading(heading)?;
    for entry in metadata.iter() {
        let (name, value) = match entry {
            KeyAndValueRef::Ascii(name, value) => (name.as_str(), value.to_str().unwrap_or("(not text)").to_owned()),
            KeyAndValueRef::Binary(name, value) => (name.as_str(), format!("{value:?}")),
        };
        let name = output.paint(Colour::Cyan, name);
        output.line(&format!("{name}: {value}"))?;
    }
    Ok(())
}

fn complain(text: &str) {
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr(), "call: {text}");
}
