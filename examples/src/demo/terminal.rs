//! Output that is coloured on a terminal and plain in a pipe.

use std::io::{self, IsTerminal, Stdout, Write};

use super::Table;

/// A colour of the terminal's own palette, so that it fits light and dark backgrounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Good news.
    Green,
    /// Something to look at.
    Yellow,
    /// Bad news.
    Red,
    /// Names.
    Cyan,
    /// Headings.
    Bold,
    /// What matters less.
    Dim,
}

impl Colour {
    fn code(self) -> u8 {
        match self {
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Red => 31,
            Self::Cyan => 36,
            Self::Bold => 1,
            Self::Dim => 2,
        }
    }
}

/// Where a demonstration prints to.
#[derive(Debug)]
pub struct Terminal<W> {
    output: W,
    colours: bool,
}

impl Terminal<Stdout> {
    /// The standard output. Colours only when it is a terminal and `NO_COLOR` (<https://no-color.org>) is not set.
    pub fn stdout() -> Self {
        let output = io::stdout();
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = output.is_terminal() && !forbidden;
        Self { output, colours }
    }
}

impl<W: Write> Terminal<W> {
    /// Prints to `output` without colours.
    pub fn plain(output: W) -> Self {
        Self { output, colours: false }
    }

    /// Prints to `output` with colours.
    pub fn coloured(output: W) -> Self {
        Self { output, colours: true }
    }

    /// The text, in this colour if there are colours.
    pub fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colours { format!("\x1b[{}m{text}\x1b[0m", colour.code()) } else { text.to_owned() }
    }

    /// A heading: an empty line, then the text in bold.
    ///
    /// # Errors
    /// Those of the output.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint(Colour::Bold, text);
        writeln!(self.output, "\n{text}")
    }

    /// One line. What must be coloured in it was [painted](Self::paint) before.
    ///
    /// # Errors
    /// Those of the output.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.output, "{text}")?;
        self.output.flush()
    }

    /// A table, its heading in bold.
    ///
    /// # Errors
    /// Those of the output.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        for (number, line) in table.lines().into_iter().enumerate() {
            let line = if number == 0 { self.paint(Colour::Bold, &line) } else { line };
            writeln!(self.output, "{line}")?;
        }
        self.output.flush()
    }

    /// Gives the output back.
    pub fn into_inner(self) -> W {
        self.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Terminal::plain(Vec::new()).paint(Colour::Green, "ok"), "ok");
        assert_eq!(Terminal::coloured(Vec::new()).paint(Colour::Green, "ok"), "\x1b[32mok\x1b[0m");
    }

    #[test]
    fn headings_and_lines_reach_the_output() {
        let mut terminal = Terminal::plain(Vec::new());
        terminal.heading("Calls").unwrap();
        terminal.line("one").unwrap();
        assert_eq!(String::from_utf8(terminal.into_inner()).unwrap(), "\nCalls\none\n");
    }
}
