//! The table: which rows there are, in which order, which one is selected. Rows are positions; only
//! those on the screen are ever made into text.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use nexus_proto::{AppView, InstanceView, Snapshot};
use nexus_spec::Name;

use super::filter::Filter;
use crate::look::word;
use crate::text::width;

/// The table.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleet {
    snapshot: Option<Snapshot>,
    rows: Vec<Row>,
    selected: Option<Key>,
    /// Position of the selected row.
    cursor: usize,
    /// Position of the first row on the screen.
    top: usize,
    open: BTreeSet<Name>,
    /// Only this app, opened.
    only: Option<Name>,
    sort: Sort,
    filter: Filter,
    name_width: usize,
}

/// One row: an app, or one instance of it, by position in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    app: u32,
    instance: Option<u16>,
}

/// What a row is about, whatever its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The app.
    pub(super) app: Name,
    /// One instance of it, by its number.
    pub(super) instance: Option<u16>,
}

impl Key {
    /// `api/2`, as it is typed as a target.
    pub(super) fn target(&self) -> String {
        match self.instance {
            Some(instance) => format!("{}/{instance}", self.app),
            None => self.app.to_string(),
        }
    }
}

/// The order of apps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    Cpu,
    Memory,
    Restarts,
}

impl Sort {
    fn next(self) -> Sort {
        match self {
            Sort::Name => Sort::Cpu,
            Sort::Cpu => Sort::Memory,
            Sort::Memory => Sort::Restarts,
            Sort::Restarts => Sort::Name,
        }
    }
}

/// A row of the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// The app.
    pub(super) app: &'a AppView,
    /// The instance, when the row is about one.
    pub(super) instance: Option<&'a InstanceView>,
    /// Whether it is the selected one.
    pub(super) selected: bool,
}

impl Fleet {
    /// The fleet as it is now.
    pub(super) fn set(&mut self, snapshot: Snapshot) {
        let widths = snapshot.apps.iter().map(|app| width(app.name.as_str()));
        self.name_width = widths.max().unwrap_or(0);
        self.snapshot = Some(snapshot);
        if self.only.as_ref().is_some_and(|only| self.app(only).is_none()) {
            self.only = None;
        }
        self.arrange();
    }

    /// What the daemon last said.
    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The app of this name.
    pub(super) fn app(&self, name: &Name) -> Option<&AppView> {
        self.snapshot.as_ref()?.apps.iter().find(|app| app.name == *name)
    }

    /// What is selected.
    pub(super) fn selected(&self) -> Option<&Key> {
        self.selected.as_ref()
    }

    /// The app that is selected, or one of whose instances is.
    pub(super) fn selected_app(&self) -> Option<&AppView> {
        self.app(&self.selected.as_ref()?.app)
    }

    /// The only app that is shown, if one is.
    pub(super) fn only(&self) -> Option<&Name> {
        self.only.as_ref()
    }

    /// The order of apps.
    pub(super) fn sort(&self) -> Sort {
        self.sort
    }

    /// What rows must have.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Columns of the longest name, filtered or not: it must not jump about while one types.
    pub(super) fn name_width(&self) -> usize {
        self.name_width
    }

    /// At most `height` rows, as far as the screen is scrolled.
    pub(super) fn shown(&self, height: usize) -> impl Iterator<Item = Shown<'_>> {
        let rows = self.rows.iter().enumerate().skip(self.top).take(height);
        rows.filter_map(|(at, row)| {
            let app = self.view(*row)?;
            let instance = row.instance.and_then(|number| app.instances.get(usize::from(number)));
            Some(Shown { app, instance, selected: at == self.cursor })
        })
    }

    /// Apps with a trouble, whether their rows are shown or not.
    pub(super) fn troubled(&self) -> impl Iterator<Item = &AppView> {
        let apps = self.snapshot.iter().flat_map(|snapshot| &snapshot.apps);
        apps.filter(|app| app.trouble.is_some())
    }

    /// Select so many rows further down (up, when negative).
    pub(super) fn go(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.select(self.cursor.saturating_add_signed(by).min(last));
    }

    /// Select the next (previous) app with a trouble, round the end. When there is one that is not
    /// shown, all are shown again.
    pub(super) fn go_to_problem(&mut self, forward: bool) {
        let shown = |app: &AppView| match &self.only {
            Some(_) => false,
            None => self.wanted(app),
        };
        if self.troubled().any(|app| !shown(app)) {
            self.only = None;
            self.filter = Filter::default();
            self.arrange();
        }
        let count = self.rows.len();
        let step = |back: usize| {
            if forward {
                (self.cursor + back) % count
            } else {
                (self.cursor + count - back) % count
            }
        };
        let is_problem = |at: &usize| {
            let row = self.rows.get(*at).filter(|row| row.instance.is_none());
            row.and_then(|row| self.view(*row)).is_some_and(|app| app.trouble.is_some())
        };
        if let Some(found) = (1..=count).map(step).find(is_problem) {
            self.select(found);
        }
    }

    /// Scroll so that the selected row is among `height` rows.
    pub(super) fn scroll(&mut self, height: usize) {
        let height = height.max(1);
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
        self.top = self.top.min(self.rows.len().saturating_sub(height));
    }

    /// Show the instances of the selected app, or not; `None` = the other way round.
    pub(super) fn set_open(&mut self, open: Option<bool>) {
        let Some(key) = self.selected.clone() else { return };
        if open.unwrap_or(!self.open.contains(&key.app)) {
            self.open.insert(key.app);
        } else {
            self.open.remove(&key.app);
            self.selected = Some(Key { app: key.app, instance: None });
        }
        self.arrange();
    }

    /// Show only the selected app, opened; or all again.
    pub(super) fn set_only(&mut self, only: bool) {
        self.only = self.selected.clone().map(|key| key.app).filter(|_| only);
        self.arrange();
    }

    /// The next order.
    pub(super) fn sort_next(&mut self) {
        self.sort = self.sort.next();
        self.arrange();
    }

    /// Only rows that have this.
    pub(super) fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        self.arrange();
    }

    fn view(&self, row: Row) -> Option<&AppView> {
        self.snapshot.as_ref()?.apps.get(row.app as usize)
    }

    fn is_open(&self, app: &AppView) -> bool {
        self.only.as_ref() == Some(&app.name) || self.open.contains(&app.name)
    }

    fn select(&mut self, at: usize) {
        self.cursor = at;
        self.selected = self.rows.get(at).and_then(|row| self.key(*row));
    }

    fn key(&self, row: Row) -> Option<Key> {
        let app = self.view(row)?;
        let at = |number: u16| app.instances.get(usize::from(number)).map(|one| one.instance);
        Some(Key { app: app.name.clone(), instance: row.instance.and_then(at) })
    }

    /// Rows anew; the selection stays with what it was on, else near where it was.
    fn arrange(&mut self) {
        self.rows = self.ordered();
        let selected = self.selected.take();
        let same = selected
            .as_ref()
            .and_then(|key| self.rows.iter().position(|row| self.key(*row).as_ref() == Some(key)));
        let app = selected.as_ref().and_then(|key| {
            let is_app = |row: &Row| self.view(*row).is_some_and(|app| app.name == key.app);
            self.rows.iter().position(is_app)
        });
        let near = self.cursor.min(self.rows.len().saturating_sub(1));
        self.select(same.or(app).unwrap_or(near));
    }

    fn ordered(&self) -> Vec<Row> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let mut apps: Vec<(u32, &AppView)> =
            (0..).zip(&snapshot.apps).filter(|(_, app)| self.wanted(app)).collect();
        // Stable: equals stay in the order of names, in which the daemon gives them.
        match self.sort {
            Sort::Name => {}
            Sort::Cpu => apps.sort_by(|a, b| {
                let cpu = |app: &AppView| app.cpu_percent.unwrap_or(-1.0);
                cpu(b.1).total_cmp(&cpu(a.1))
            }),
            Sort::Memory => apps.sort_by_key(|(_, app)| Reverse(app.memory_bytes)),
            Sort::Restarts => apps.sort_by_key(|(_, app)| Reverse(app.restarts)),
        }
        let mut rows = Vec::with_capacity(apps.len());
        for (app, view) in apps {
            rows.push(Row { app, instance: None });
            if self.is_open(view) {
                let numbers = (0..).take(view.instances.len());
                rows.extend(numbers.map(|number| Row { app, instance: Some(number) }));
            }
        }
        rows
    }

    fn wanted(&self, app: &AppView) -> bool {
        match &self.only {
            Some(only) => *only == app.name,
            None => self.filter.keeps(&[app.name.as_str(), &app.namespace, word(app.status)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture::snapshot;

    fn names(fleet: &Fleet) -> Vec<String> {
        let all = fleet.rows.iter().filter_map(|row| fleet.key(*row));
        all.map(|key| key.target().chars().take(9).collect()).collect()
    }

    fn fleet() -> Fleet {
        let mut fleet = Fleet::default();
        fleet.set(snapshot());
        fleet
    }

    #[test]
    fn the_selection_stays_with_its_app() {
        let mut fleet = fleet();
        fleet.go(2);
        let gateway = fleet.selected().cloned();
        fleet.set_filter(Filter::parse("!api"));
        fleet.sort_next();
        fleet.sort_next();
        assert_eq!(names(&fleet), ["order-gat", "market-da", "reporting", "settlemen"]);
        assert_eq!(fleet.selected().cloned(), gateway);
        let mut less = snapshot();
        less.apps.remove(2);
        fleet.set(less);
        assert_eq!(fleet.selected().unwrap().target(), "market-data");
    }

    #[test]
    fn an_app_is_opened_and_closed_from_any_of_its_rows() {
        let mut fleet = fleet();
        fleet.set_open(Some(true));
        fleet.go(3);
        assert_eq!(fleet.selected().unwrap().target(), "api/2");
        assert_eq!(fleet.len(), 9);
        fleet.set_open(Some(false));
        assert_eq!((fleet.selected().unwrap().target().as_str(), fleet.len()), ("api", 5));
        fleet.set_only(true);
        assert_eq!(names(&fleet), ["api", "api/0", "api/1", "api/2", "api/3"]);
        fleet.set_only(false);
        assert_eq!(fleet.len(), 5);
    }

    #[test]
    fn problems_are_walked_round_and_the_screen_follows() {
        let mut fleet = fleet();
        fleet.go_to_problem(true);
        assert_eq!(fleet.selected().unwrap().target(), "settlement");
        fleet.scroll(3);
        assert_eq!(fleet.top, 2);
        fleet.go_to_problem(true);
        fleet.go_to_problem(false);
        assert_eq!(fleet.selected().unwrap().target(), "settlement");
        fleet.go(-9);
        fleet.scroll(3);
        assert_eq!((fleet.top, fleet.shown(3).count()), (0, 3));
        fleet.go(99);
        assert_eq!(fleet.selected().unwrap().target(), "settlement");
        Fleet::default().go_to_problem(true);
    }
}
