//! What the programs share: arguments and signals, printing, loopback addresses, and who answered.
//!
//! ```
//! use meshlib_examples::demo::{Summary, Terminal};
//!
//! let mut summary = Summary::new();
//! summary.answered("pod-1");
//! summary.answered("pod-2");
//! summary.failed("grpc-status 14");
//! let mut output = Terminal::plain(Vec::new());
//! summary.print(&mut output)?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod commands;
mod loopback;
mod program;
mod summary;
mod table;
mod terminal;

pub use self::commands::{print_calls, print_looks, reachable};
pub use self::loopback::{Loopback, Reserved};
pub use self::program::{Arguments, EndSignals, UsageError, log_to_stderr, program};
pub use self::summary::Summary;
pub use self::table::{Align, Table};
pub use self::terminal::{Colour, Terminal};
