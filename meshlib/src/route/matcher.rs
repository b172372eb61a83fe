//! The routes of one virtual host, indexed by path.
//!
//! The answer is the lowest rule whose conditions hold, found without looking at all of them: one walk down a tree of
//! the paths and prefixes meets every rule whose path matches, and only those have their header conditions looked at.
//! What a walk costs depends on the path and on how often the texts part along it, hardly on how many there are.

use std::{collections::BTreeMap, ops::Range};

use http::Request;

use crate::{
    http::header_match::{HeaderMatchError, HeaderMatcher},
    route::config::{PathMatch, RouteMatch},
};

/// Compiled conditions of an ordered list of routes.
#[derive(Debug)]
pub(super) struct RouteIndex {
    headers: Box<[Box<[HeaderMatcher]>]>,
    /// The first is the root; the children of a node stand together.
    nodes: Box<[Node]>,
}

/// A text that rules are of, or where texts part.
#[derive(Debug)]
struct Node {
    /// What this adds to the parent's text.
    label: Box<[u8]>,
    rules: Rules,
    /// The lowest rule here and below: where to stop walking.
    lowest: u32,
    /// The first byte of each child's label, in order.
    branches: Box<[u8]>,
    /// Where in the nodes the first child stands.
    children: usize,
}

/// The rules of one text, in their order.
#[derive(Clone, Debug, Default)]
struct Rules {
    prefix: Vec<u32>,
    exact: Vec<u32>,
}

impl RouteIndex {
    pub(super) fn new<'a>(routes: impl IntoIterator<Item = &'a RouteMatch>) -> Result<Self, HeaderMatchError> {
        let mut headers = Vec::new();
        let mut texts: BTreeMap<&[u8], Rules> = BTreeMap::new();
        for (rule, route) in (0..).zip(routes) {
            headers.push(HeaderMatcher::all(&route.headers)?.into());
            match &route.path {
                PathMatch::Exact(path) => texts.entry(path.as_bytes()).or_default().exact.push(rule),
                PathMatch::Prefix(prefix) => texts.entry(prefix.as_bytes()).or_default().prefix.push(rule),
            }
        }
        let texts: Vec<_> = texts.into_iter().collect();
        Ok(Self { headers: headers.into(), nodes: tree(&texts).into() })
    }

    /// The lowest rule that takes this request. A request without a path (CONNECT) has none.
    pub(super) fn find<B>(&self, request: &Request<B>) -> Option<usize> {
        let target = request.uri().path_and_query()?;
        let (text, path) = (target.as_str(), target.path());
        let prefix = |best, node: &Node| self.improve(best, &node.rules.prefix, request);
        let exact = |best, node: &Node| self.improve(best, &node.rules.exact, request);
        let best = if text.starts_with('/') {
            self.walk(text, u32::MAX, |best, node, length| {
                let best = prefix(best, node);
                if length == path.len() { exact(best, node) } else { best }
            })
        } else {
            // The path of `http://a?b` is `/` to an exact condition, and what stands there to a prefix.
            let best = self.walk(
                path,
                u32::MAX,
                |best, node, length| {
                    if length == path.len() { exact(best, node) } else { best }
                },
            );
            self.walk(text, best, |best, node, _| prefix(best, node))
        };
        (best != u32::MAX).then_some(best as usize)
    }

    /// Shows `visit` every node whose text `text` begins with, and that text's length, the shortest first, for as
    /// long as there may be a rule below `best`; answers what `visit` makes of it.
    fn walk(&self, text: &str, mut best: u32, visit: impl Fn(u32, &Node, usize) -> u32) -> u32 {
        let mut rest = text.as_bytes();
        let mut next = self.nodes.first();
        while let Some(node) = next
            && node.lowest < best
            && let Some(after) = rest.strip_prefix(&*node.label)
        {
            rest = after;
            best = visit(best, node, text.len() - rest.len());
            next = rest.first().and_then(|byte| {
                let branch = node.branches.binary_search(byte).ok()?;
                self.nodes.get(node.children + branch)
            });
        }
        best
    }

    /// The first of `rules` below `best` whose header conditions hold, else `best`.
    fn improve<B>(&self, best: u32, rules: &[u32], request: &Request<B>) -> u32 {
        let lower = rules.iter().copied().take_while(|rule| *rule < best);
        let holds = |rule: &u32| {
            let conditions = self.headers.get(*rule as usize);
            conditions.is_some_and(|conditions| conditions.iter().all(|condition| condition.matches(request)))
        };
        lower.into_iter().find(holds).unwrap_or(best)
    }
}

/// Some of the sorted texts, which have `shared` bytes in common with the parent's: a node to be made.
struct Group {
    texts: Range<usize>,
    shared: usize,
}

/// The tree of these sorted texts. No recursion: a text may go on with another as often as it likes.
fn tree(texts: &[(&[u8], Rules)]) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut groups = std::collections::VecDeque::from([Group { texts: 0..texts.len(), shared: 0 }]);
    while let Some(group) = groups.pop_front() {
        let members = texts.get(group.texts.clone()).unwrap_or_default();
        let Some(((first, rules), (last, _))) = members.first().zip(members.last()) else { continue };
        // They are sorted: what the first and the last share, all do.
        let length = first.iter().zip(*last).take_while(|(one, other)| one == other).count();
        let here = first.len() == length;
        let children = nodes.len() + 1 + groups.len();
        let mut branches = Vec::new();
        let mut from = group.texts.start + usize::from(here);
        for parted in members.get(usize::from(here)..).unwrap_or_default().chunk_by(|one, other| {
            let byte = |text: &&[u8]| text.get(length).copied();
            byte(&one.0) == byte(&other.0)
        }) {
            branches.extend(parted.first().and_then(|(text, _)| text.get(length)));
            groups.push_back(Group { texts: from..from + parted.len(), shared: length });
            from += parted.len();
        }
        nodes.push(Node {
            label: first.get(group.shared..length).unwrap_or_default().into(),
            rules: if here { rules.clone() } else { Rules::default() },
            lowest: members.iter().map(|(_, rules)| rules.lowest()).min().unwrap_or(u32::MAX),
            branches: branches.into(),
            children,
        });
    }
    nodes
}

impl Rules {
    fn lowest(&self) -> u32 {
        self.prefix.iter().chain(&self.exact).copied().min().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header_match::HeaderMatch;

    /// What the index must agree with: every rule in turn.
    fn naive(routes: &[RouteMatch], request: &Request<()>) -> Option<usize> {
        let target = request.uri().path_and_query()?;
        routes.iter().position(|route| {
            let path = match &route.path {
                PathMatch::Exact(path) => target.path() == path,
                PathMatch::Prefix(prefix) => target.as_str().starts_with(prefix.as_str()),
            };
            path && route.headers.iter().all(|header| HeaderMatcher::new(header).unwrap().matches(request))
        })
    }

    /// Texts that part early and late, many at one place, and that go on with one another.
    fn text(random: &mut fastrand::Rng, most: usize) -> String {
        let letters = ["a", "b", "/", "?", "ab", "/a"];
        match random.u8(..5) {
            0 => format!("/api.Service{}/", random.u8(..20)),
            1 => format!("/{}", "a".repeat(random.usize(..20))),
            _ => {
                let tail = (0..random.usize(0..=most)).map(|_| letters[random.usize(..letters.len())]);
                std::iter::once("/").chain(tail).collect()
            }
        }
    }

    fn route(random: &mut fastrand::Rng) -> RouteMatch {
        let route = match random.u8(..10) {
            0..4 => RouteMatch::path(text(random, 4)),
            4..9 => RouteMatch::prefix(text(random, 4)),
            _ => RouteMatch::prefix(""),
        };
        match random.u8(..3) {
            0 => route,
            _ => route.header(HeaderMatch::exact("x-a".parse().unwrap(), random.u8(..3).to_string())),
        }
    }

    #[test]
    fn agrees_with_looking_at_every_rule() {
        let mut random = fastrand::Rng::with_seed(17);
        let (mut found, mut missed) = (0, 0);
        for _ in 0..300 {
            let routes: Vec<_> = (0..random.usize(0..40)).map(|_| route(&mut random)).collect();
            let index = RouteIndex::new(&routes).unwrap();
            for _ in 0..100 {
                // Also a target that has a query and no path.
                let path = text(&mut random, 7);
                let path = if random.u8(..10) == 0 { path.replacen('/', "http://a?", 1) } else { path };
                let request = Request::get(&path).header("x-a", random.u8(..3).to_string()).body(()).unwrap();
                let expected = naive(&routes, &request);
                assert_eq!(index.find(&request), expected, "{path} in {routes:?}");
                *if expected.is_some() { &mut found } else { &mut missed } += 1;
            }
        }
        assert!(found > 1000 && missed > 1000, "{found} found, {missed} missed");
    }

    #[test]
    fn prefixes_are_bytes_and_see_the_query() {
        let index = RouteIndex::new(&[RouteMatch::prefix("/api.Echo/"), RouteMatch::prefix("/x?y")]).unwrap();
        let find = |path: &str| index.find(&Request::get(path).body(()).unwrap());
        assert_eq!(find("/api.Echo/Echo"), Some(0));
        assert_eq!(find("/api.Echo"), None);
        assert_eq!(find("/api.echo/Echo"), None);
        assert_eq!(find("/x?yz"), Some(1));
    }

    #[test]
    fn connect_has_no_path_and_no_route() {
        let index = RouteIndex::new(&[RouteMatch::prefix("")]).unwrap();
        assert_eq!(index.find(&Request::connect("a.example:443").body(()).unwrap()), None);
    }
}
