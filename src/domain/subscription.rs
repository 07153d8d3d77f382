//! What a session receives: selectors, each with the position from which on it counts.

use std::sync::Arc;

use super::message::MessageId;
use super::pattern::{MetricName, NameError, PATTERNS_MAX, Pattern, VIEWS_PER_SUBSCRIPTION_MAX};
use super::view::{Selector, View};

/// One selector of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub selector: Selector,
    /// What was published before was never for the session.
    pub since: MessageId,
}

/// What a session receives: at most one selector a pattern.
///
/// The positions make the answer to "what was missed" exact when a subscription changes while its
/// client is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Shared by the session and its connection: there are as many of these as connections.
    entries: Arc<[Entry]>,
    /// No metric was ever named: everything, until the first subscribe narrows it.
    unnamed: Option<MessageId>,
    /// Several patterns, of which some ask for a view: they may name one metric, which comes in one form only.
    is_mixed: bool,
}

impl Subscription {
    /// Every metric, as of the beginning.
    pub fn everything() -> Self {
        Self::from_parts(Vec::new(), Some(MessageId::ZERO))
    }

    /// What a client asks for when it connects. Nothing named means everything.
    ///
    /// # Errors
    /// More than [`PATTERNS_MAX`] distinct patterns, or too many views.
    pub fn new(selectors: &[Selector], since: MessageId) -> Result<Self, NameError> {
        let mut new = Self::from_parts(Vec::new(), Some(since));
        if !selectors.is_empty() {
            new.subscribe(selectors, since)?;
        }
        Ok(new)
    }

    /// Adds `selectors` from `since` on; the first call on a subscription that named nothing narrows
    /// it to them, and then they count from where that began. One of a pattern that is there already takes its
    /// place, unless it asks for the same.
    ///
    /// # Errors
    /// More than [`PATTERNS_MAX`] distinct patterns or [`VIEWS_PER_SUBSCRIPTION_MAX`] different views in all;
    /// nothing has changed then.
    pub fn subscribe(&mut self, selectors: &[Selector], since: MessageId) -> Result<(), NameError> {
        let since = self.unnamed.unwrap_or(since);
        let mut all = self.entries.to_vec();
        for selector in selectors {
            let new = Entry {
                selector: selector.clone(),
                since,
            };
            let mut known = all.iter_mut();
            match known.find(|it| it.selector.pattern == selector.pattern) {
                Some(known) if known.selector == *selector => {}
                Some(known) => *known = new,
                None => all.push(new),
            }
        }
        if all.len() > PATTERNS_MAX {
            return Err(NameError::Patterns);
        }
        let unnamed = self.unnamed.filter(|_| selectors.is_empty());
        let new = Self::from_parts(all, unnamed);
        if new.views().len() > VIEWS_PER_SUBSCRIPTION_MAX {
            return Err(NameError::Views);
        }
        *self = new;
        Ok(())
    }

    /// Takes the patterns of `selectors` out. What is left may be nothing at all.
    pub fn unsubscribe(&mut self, selectors: &[Selector]) {
        let goes = |pattern: &Pattern| selectors.iter().any(|it| it.pattern == *pattern);
        let left = self.entries.iter();
        let left = left.filter(|known| !goes(&known.selector.pattern));
        let unnamed = self.unnamed.filter(|_| !goes(&Pattern::everything()));
        *self = Self::from_parts(left.cloned().collect(), unnamed);
    }

    /// From which position on the session gets `name` as it is published; `None`: not at all.
    pub fn admits(&self, name: &MetricName) -> Option<MessageId> {
        self.admits_as(None, name)
    }

    /// From which position on the session gets `name` by `view`, or as it is published; `None`: not at all.
    pub fn admits_as(&self, view: Option<&View>, name: &MetricName) -> Option<MessageId> {
        if self.is_mixed && self.form_of(name) != Some(view) {
            return None;
        }
        let matching = self.entries.iter();
        let matching = matching
            .filter(|it| it.selector.view.as_ref() == view && it.selector.pattern.matches(name));
        let unnamed = self.unnamed.filter(|_| view.is_none());
        unnamed.into_iter().chain(matching.map(|it| it.since)).min()
    }

    /// By which view `name` comes, where it does: of the patterns that name it, the narrowest says.
    fn form_of(&self, name: &MetricName) -> Option<Option<&View>> {
        let matching = self
            .entries
            .iter()
            .filter(|it| it.selector.pattern.matches(name));
        let narrowest = matching.max_by_key(|it| it.selector.pattern.narrowness());
        narrowest.map(|it| it.selector.view.as_ref())
    }

    /// Whether whoever knows which of its patterns names a metric must still ask [`Subscription::admits_as`].
    pub fn is_mixed(&self) -> bool {
        self.is_mixed
    }

    /// The names that come by `view`, or as they are published, where they are exact only; `None` as soon as there
    /// is a wildcard.
    pub fn exact_names(&self, view: Option<&View>) -> Option<Vec<MetricName>> {
        if self.unnamed.is_some() && view.is_none() {
            return None;
        }
        let named = self
            .entries
            .iter()
            .filter(|it| it.selector.view.as_ref() == view);
        named.map(|it| it.selector.pattern.as_exact()).collect()
    }

    /// The different views that are asked for, in the order in which they were.
    pub fn views(&self) -> Vec<&View> {
        let mut views: Vec<&View> = Vec::new();
        for view in self
            .entries
            .iter()
            .filter_map(|it| it.selector.view.as_ref())
        {
            if !views.contains(&view) {
                views.push(view);
            }
        }
        views
    }

    /// Whether it names nothing and so receives every metric.
    pub fn is_everything(&self) -> bool {
        self.unnamed.is_some()
    }

    /// What it is made of, for [`Subscription::from_parts`].
    pub fn parts(&self) -> (&[Entry], Option<MessageId>) {
        (&self.entries, self.unnamed)
    }

    /// Back from [`Subscription::parts`].
    pub fn from_parts(entries: Vec<Entry>, unnamed: Option<MessageId>) -> Self {
        let is_mixed = entries.len() > 1 && entries.iter().any(|it| it.selector.view.is_some());
        Self {
            entries: entries.into(),
            unnamed,
            is_mixed,
        }
    }

    /// The selectors in the order they were added; `**` alone where nothing was named.
    pub fn selectors(&self) -> Vec<Selector> {
        match self.unnamed {
            Some(_) => vec![Pattern::everything().into()],
            None => self.entries.iter().map(|it| it.selector.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
