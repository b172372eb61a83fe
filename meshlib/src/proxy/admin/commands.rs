//! The commands: which path does what, whether it needs POST, and what `/help` says of it.

use std::fmt::Write;

use http::StatusCode;

use super::{
    clusters, prometheus,
    query::{Filter, Format, Query, StatsQuery},
    server_info,
    state::{AdminState, ServerPhase},
    stats_json, stats_text,
};

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) json: bool,
    pub(super) body: String,
}

impl Answer {
    fn text(body: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, json: false, body: body.into() }
    }

    fn json(body: String) -> Self {
        Self { json: true, ..Self::text(body) }
    }

    /// A plain text with another status than 200.
    pub(super) fn refusal(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, ..Self::text(body) }
    }

    fn bad_request(body: String) -> Self {
        Self::refusal(StatusCode::BAD_REQUEST, body)
    }
}

/// A command of the admin interface.
pub(super) struct Command {
    path: &'static str,
    /// It changes the state of the process, and takes POST alone.
    pub(super) mutates: bool,
    help: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    pub(super) run: fn(&AdminState, Query<'_>) -> Answer,
}

const FILTER: (&str, &str) = ("filter", "Regular expression for filtering by name");
const INVERT: (&str, &str) = ("invert_filter", "Invert the filter regex");
const USED: (&str, &str) = ("usedonly", "Only include stats that are not at zero");

const COMMANDS: &[Command] = &[
    Command { path: "/", mutates: false, help: "Admin home page", parameters: &[], run: help },
    Command {
        path: "/clusters",
        mutates: false,
        help: "upstream cluster status",
        parameters: &[FILTER, INVERT, ("format", "Format to use; One of (text, json)")],
        run: clusters,
    },
    Command {
        path: "/healthcheck/fail",
        mutates: true,
        help: "cause the server to fail health checks",
        parameters: &[],
        run: |state, _| set_health(state, true),
    },
    Command {
        path: "/healthcheck/ok",
        mutates: true,
        help: "cause the server to pass health checks",
        parameters: &[],
        run: |state, _| set_health(state, false),
    },
    Command { path: "/help", mutates: false, help: "print out list of admin commands", parameters: &[], run: help },
    Command { path: "/quitquitquit", mutates: true, help: "exit the server", parameters: &[], run: quit },
    Command {
        path: "/ready",
        mutates: false,
        help: "print server state, return 200 if LIVE, otherwise return 503",
        parameters: &[],
        run: ready,
    },
    Command {
        path: "/server_info",
        mutates: false,
        help: "print server version/status information",
        parameters: &[],
        run: |state, _| Answer::json(server_info::print(state)),
    },
    Command {
        path: "/stats",
        mutates: false,
        help: "print server stats",
        parameters: &[
            USED,
            FILTER,
            INVERT,
            ("format", "Format to use; One of (text, json, prometheus)"),
            ("type", "Stat types to include.; One of (All, Counters, Histograms, Gauges, TextReadouts)"),
        ],
        run: |state, query| stats(state, StatsQuery::read(query)),
    },
    Command {
        path: "/stats/prometheus",
        mutates: false,
        help: "print server stats in prometheus format",
        parameters: &[USED, FILTER, INVERT],
        run: |state, query| stats(state, StatsQuery::read(query).map(|query| query.with_format(Format::Prometheus))),
    },
];

/// The command at `path`.
pub(super) fn find(path: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.path == path)
}

/// The list of commands, in Envoy's form.
pub(super) fn list() -> String {
    let mut out = "admin commands are:\n".to_owned();
    for command in COMMANDS {
        let post = if command.mutates { " (POST)" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {}{post}: {}", command.path, command.help);
        for (name, help) in command.parameters {
            let _ = writeln!(out, "      {name}: {help}");
        }
    }
    out
}

fn help(_: &AdminState, _: Query<'_>) -> Answer {
    Answer::text(list())
}

fn ready(state: &AdminState, _: Query<'_>) -> Answer {
    let phase = state.server.state().phase();
    let status = if phase == ServerPhase::Live { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::refusal(status, format!("{phase}\n"))
}

fn clusters(state: &AdminState, query: Query<'_>) -> Answer {
    let filter = match Filter::read(query) {
        Ok(filter) => filter,
        Err(refusal) => return Answer::bad_request(refusal),
    };
    let clusters = state.clusters.load();
    // As in Envoy, any other format is text.
    if query.get("format").as_deref() == Some("json") {
        Answer::json(clusters::print_json(&clusters, &filter))
    } else {
        Answer::text(clusters::print_text(&clusters, &filter))
    }
}

fn stats(state: &AdminState, query: Result<StatsQuery, String>) -> Answer {
    let query = match query {
        Ok(query) => query,
        Err(refusal) => return Answer::bad_request(refusal),
    };
    state.server.refresh();
    let stats = stats_text::select(state.stats.snapshot(), &query);
    match query.format {
        Format::Text => Answer::text(stats_text::print(&stats)),
        Format::Json => Answer::json(stats_json::print(&stats)),
        Format::Prometheus => Answer::text(prometheus::print(&stats)),
    }
}

fn set_health(state: &AdminState, fail: bool) -> Answer {
    state.server.state().drain().fail_health(fail);
    tracing::warn!(fail, "admin: health checks of this process were set");
    Answer::text("OK\n")
}

fn quit(state: &AdminState, _: Query<'_>) -> Answer {
    tracing::warn!("admin: asked to quit");
    (state.quit)();
    Answer::text("OK\n")
}
