//! What one rendering brings to its templates besides values: the present,
//! chance, the cluster, and what it remembers on the way.

use std::collections::HashMap;
use std::sync::Arc;

use sluice_gotemplate::regexp::{Regexp, RegexpError};
use sluice_gotemplate::{Host, Str, TemplateSet};

use crate::funcs::gotime::{Time, Zone};

/// Most compiled regular expressions that one rendering keeps.
const MAX_REGEXPS: usize = 256;

/// Most parsed `tpl` texts that one rendering keeps. Charts repeat a few; those
/// that make thousands make them all different, and memory that is used again at
/// once is the fastest.
const MAX_TEXTS: usize = 256;

/// Most notes that one rendering keeps.
const MAX_NOTES: usize = 10_000;

/// Answers `lookup` in templates. A cluster, a recording or nothing stands
/// behind it.
pub trait Lookup: Send + Sync {
    /// Reads one object, or a list when `name` is empty, over all namespaces
    /// when `namespace` is empty. What does not exist is `Ok(None)`.
    ///
    /// # Errors
    /// The text of any other failure; it ends the rendering.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<serde_json::Value>, String>;
}

/// Finds nothing, as `helm template` without a cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCluster;

impl Lookup for NoCluster {
    fn lookup(
        &self,
        _: &str,
        _: &str,
        _: &str,
        _: &str,
    ) -> Result<Option<serde_json::Value>, String> {
        Ok(None)
    }
}

/// A source of random bytes.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// Whether the caller's deadline has passed; asked every few hundred steps.
pub type Deadline = Arc<dyn Fn() -> bool + Send + Sync>;

/// Resolves a host name to one address for `getHostByName`.
pub type Resolver = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// The world that a rendering sees.
pub struct World {
    /// Seconds and nanoseconds since 1970.
    pub now: (i64, u32),
    /// IANA name of the local time zone; empty is UTC.
    pub zone: String,
    /// Where random strings, salts and serial numbers come from. Private keys
    /// come from the cryptography library's own source.
    pub entropy: Entropy,
    /// What `lookup` asks.
    pub lookup: Arc<dyn Lookup>,
    /// When to stop.
    pub deadline: Option<Deadline>,
    /// What `getHostByName` asks; without it the answer is empty.
    pub resolver: Option<Resolver>,
}

impl World {
    /// A world without a cluster, other hosts or a deadline, in UTC.
    pub fn offline(now: (i64, u32), entropy: Entropy) -> Self {
        World {
            now,
            zone: String::new(),
            entropy,
            lookup: Arc::new(NoCluster),
            deadline: None,
            resolver: None,
        }
    }
}

/// The host of the templates of one rendering.
pub(crate) struct Session {
    now: Time,
    local: Zone,
    entropy: Entropy,
    pub(crate) lookup: Arc<dyn Lookup>,
    deadline: Option<Deadline>,
    pub(crate) resolver: Option<Resolver>,
    regexps: HashMap<String, Result<Regexp, RegexpError>>,
    /// How often each template is being included right now.
    pub(crate) includes: HashMap<Str, usize>,
    /// Sets made by `tpl` from the outermost set, by text.
    texts: Texts,
    /// Whether Helm's checks for `required` and `fail` only warn, as in lint.
    pub(crate) mode: Mode,
    /// What they had to say then, as Helm logs it.
    pub(crate) noted: Vec<String>,
}

/// Sets by the text that they were parsed from. One that comes later may take the
/// place of another, so that there are never more than a few.
#[derive(Default)]
struct Texts(Vec<Option<(Str, Arc<TemplateSet>)>>);

impl Texts {
    /// The place of a text. Texts that share one are merely parsed again.
    fn place(text: &[u8]) -> usize {
        let mix =
            |sum: u64, part: u64| (sum.rotate_left(5) ^ part).wrapping_mul(0x517c_c1b7_2722_0a95);
        let (parts, rest) = text.as_chunks::<8>();
        let sum = parts.iter().fold(text.len() as u64, |sum, part| {
            mix(sum, u64::from_le_bytes(*part))
        });
        let sum = rest.iter().fold(sum, |sum, b| mix(sum, u64::from(*b)));
        // The upper bits are mixed best.
        (sum >> 40) as usize % MAX_TEXTS
    }

    fn get(&self, text: &[u8]) -> Option<Arc<TemplateSet>> {
        match self.0.get(Self::place(text)) {
            Some(Some((known, set))) if **known == *text => Some(Arc::clone(set)),
            _ => None,
        }
    }

    fn put(&mut self, text: Str, set: Arc<TemplateSet>) {
        self.0.resize(MAX_TEXTS, None);
        let place = Self::place(&text);
        self.0[place] = Some((text, set));
    }
}

/// How `required` and `fail` behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They end the rendering.
    #[default]
    Strict,
    /// They are noted, as `helm lint` does.
    Lint,
}

impl Session {
    pub(crate) fn new(world: World, mode: Mode) -> Self {
        let local = Zone::named(&world.zone).unwrap_or(Zone::Utc);
        Session {
            now: Time {
                seconds: world.now.0,
                nanos: world.now.1,
                zone: local.clone(),
            },
            local,
            entropy: world.entropy,
            lookup: world.lookup,
            deadline: world.deadline,
            resolver: world.resolver,
            regexps: HashMap::new(),
            includes: HashMap::new(),
            texts: Texts::default(),
            mode,
            noted: Vec::new(),
        }
    }

    /// Notes what `required` or `fail` would have ended the rendering with.
    pub(crate) fn note(&mut self, what: &str, message: &str) {
        // Endless templates must not fill the memory with it.
        if self.noted.len() < MAX_NOTES {
            let message = crate::log::value(message);
            self.noted.push(format!("{what} message={message}"));
        }
    }

    /// Returns the present.
    pub(crate) fn now(&self) -> Time {
        self.now.clone()
    }

    /// Returns the local zone.
    pub(crate) fn local_zone(&self) -> Zone {
        self.local.clone()
    }

    /// Fills a buffer with random bytes.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        (self.entropy)(buffer);
    }

    /// Returns a random number below `bound`, each with the same chance.
    pub(crate) fn random_below(&mut self, bound: u64) -> u64 {
        let bound = bound.max(1);
        let usable = u64::MAX - u64::MAX % bound;
        loop {
            let mut bytes = [0; 8];
            self.fill(&mut bytes);
            let n = u64::from_le_bytes(bytes);
            if n < usable {
                return n % bound;
            }
        }
    }

    /// Compiles an expression once per rendering.
    pub(crate) fn regexp(&mut self, expression: &str) -> Result<Regexp, RegexpError> {
        if let Some(known) = self.regexps.get(expression) {
            return known.clone();
        }
        if self.regexps.len() >= MAX_REGEXPS {
            self.regexps.clear();
        }
        let compiled = Regexp::new(expression);
        self.regexps.insert(expression.to_owned(), compiled.clone());
        compiled
    }

    /// Returns the set made earlier for a `tpl` text.
    pub(crate) fn known_text(&self, text: &[u8]) -> Option<Arc<TemplateSet>> {
        self.texts.get(text)
    }

    /// Keeps the set made for a `tpl` text.
    pub(crate) fn keep_text(&mut self, text: Str, set: Arc<TemplateSet>) {
        self.texts.put(text, set);
    }
}

impl Host for Session {
    fn interrupted(&self) -> bool {
        self.deadline.as_ref().is_some_and(|passed| passed())
    }
}
