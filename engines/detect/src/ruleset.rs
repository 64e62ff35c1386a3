//! Rule files to one matcher, with the fate of every rule: loaded, not applicable (why) or failed (where and why).
//! One rule that fails takes nothing else down with it.

use crate::audit;
use crate::class::Class;
use crate::compile::{Atoms, ClassRules, Surroundings};
use crate::correlator::Correlations;
use crate::error::{Place, RuleError};
use crate::expression::Expression;
use crate::field::Field;
use crate::logsource::Applies;
use crate::matcher::Matcher;
use crate::options::Options;
use crate::pending::{self, Pending};
use crate::rule::{self, Document, Level, Rule};
use crate::yaml::{self, short};
use std::collections::HashMap;

/// One rule file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What to call it in reports.
    pub name: &'a str,
    /// Its YAML.
    pub text: &'a str,
}

/// What became of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is evaluated. `rule` is its number; `absent` names fields it tests that events of its class never carry.
    Loaded {
        /// Its number in [`RuleSet::rules`].
        rule: u32,
        /// Fields that are never there: the tests on them never hold.
        absent: Vec<String>,
    },
    /// It is valid but cannot fire here.
    NotApplicable(String),
    /// It could not be read.
    Failed(RuleError),
}

/// One rule of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The file's name.
    pub file: String,
    /// The line in the file where it starts, from 1.
    pub line: u32,
    /// Its id; empty where it could not be read.
    pub id: String,
    /// Its title; empty where it could not be read.
    pub title: String,
    /// Its level, where it could be read.
    pub level: Option<Level>,
    /// What became of it.
    pub fate: Fate,
}

/// Compiled rules and their report.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// The loaded rules, by number.
    pub rules: Vec<Rule>,
    /// Every rule that was offered, in order.
    pub report: Vec<Listed>,
    /// What events are matched with.
    pub matcher: Matcher,
    /// What is counted over matches: see [`crate::Correlator`].
    pub correlations: Correlations,
    /// Rules that only a correlation is to tell of, by number.
    quiet: Vec<u32>,
}

impl RuleSet {
    /// Whether a rule is there for a correlation only, and a match of it alone is no alert.
    #[must_use]
    pub fn is_quiet(&self, rule: u32) -> bool {
        self.quiet.contains(&rule)
    }

    /// Compiles rule files. Never fails as a whole: see [`RuleSet::report`].
    pub fn compile<'a>(sources: impl IntoIterator<Item = Source<'a>>) -> RuleSet {
        Self::compile_for(sources, &Options::default())
    }

    /// Compiles rule files for a host.
    pub fn compile_for<'a>(
        sources: impl IntoIterator<Item = Source<'a>>,
        options: &Options,
    ) -> RuleSet {
        let mut builder = Builder {
            options,
            rules: Vec::new(),
            report: Vec::new(),
            classes: Vec::new(),
            ids: HashMap::new(),
            pending: Vec::new(),
        };
        for source in sources {
            builder.file(source);
        }
        builder.finish()
    }

    /// How many rules are loaded, not applicable, and failed.
    #[must_use]
    pub fn counts(&self) -> (u32, u32, u32) {
        self.report
            .iter()
            .fold((0, 0, 0), |(loaded, not, failed), listed| {
                match listed.fate {
                    Fate::Loaded { .. } => (loaded + 1, not, failed),
                    Fate::NotApplicable(_) => (loaded, not + 1, failed),
                    Fate::Failed(_) => (loaded, not, failed + 1),
                }
            })
    }
}

/// A report that names its rule.
fn named(mut report: Listed, rule: &Rule) -> Listed {
    (report.id, report.title, report.level) =
        (rule.id.clone(), rule.title.clone(), Some(rule.level));
    report
}

struct Builder<'o> {
    options: &'o Options,
    rules: Vec<Rule>,
    report: Vec<Listed>,
    classes: Vec<ClassRules>,
    ids: HashMap<String, String>,
    pending: Vec<Pending>,
}

impl Builder<'_> {
    fn file(&mut self, source: Source<'_>) {
        let listed = |fate| Listed {
            file: source.name.into(),
            line: 1,
            id: String::new(),
            title: String::new(),
            level: None,
            fate,
        };
        let documents = match yaml::parse(source.text) {
            Ok(documents) => documents,
            Err(error) => return self.report.push(listed(Fate::Failed(error))),
        };
        if documents.is_empty() {
            let error = RuleError {
                line: 1,
                column: 1,
                reason: "the file holds no rule".into(),
            };
            self.report.push(listed(Fate::Failed(error)));
        }
        for document in &documents {
            let mut report = match rule::read(document, &self.options.placeholders) {
                Ok(Document::Rule(rule, detection)) => {
                    let report = named(listed(Fate::NotApplicable(String::new())), &rule);
                    let fate = match self.known(&rule, rule::place(document), source.name) {
                        Some(error) => Fate::Failed(error),
                        None => self.rule(*rule, &detection),
                    };
                    Listed { fate, ..report }
                }
                Ok(Document::Correlation(rule, correlation)) => {
                    let mut report = named(listed(Fate::NotApplicable(String::new())), &rule);
                    match self.known(&rule, rule::place(document), source.name) {
                        Some(error) => report.fate = Fate::Failed(error),
                        // Tied when every rule is known.
                        None => self.pending.push(Pending {
                            report: self.report.len(),
                            rule: *rule,
                            correlation,
                        }),
                    }
                    report
                }
                Ok(Document::Other(title, why)) => Listed {
                    title,
                    ..listed(Fate::NotApplicable(why))
                },
                Err(error) => listed(Fate::Failed(error)),
            };
            report.line = rule::place(document).line;
            self.report.push(report);
        }
    }

    /// Notes a rule's id; the error when another has it.
    fn known(&mut self, rule: &Rule, at: Place, file: &str) -> Option<RuleError> {
        if let Some(first) = self.ids.get(&rule.id) {
            let reason = format!(
                "the id {} is already that of a rule in {first}",
                short(&rule.id)
            );
            return Some(RuleError::new(at, reason));
        }
        self.ids.insert(rule.id.clone(), file.into());
        None
    }

    fn rule(&mut self, rule: Rule, detection: &rule::Detection) -> Fate {
        if !detection.unfilled.is_empty() {
            return Fate::NotApplicable(format!(
                "the configuration gives no value for {}",
                detection.unfilled.join(", ")
            ));
        }
        let writers = match rule.log_source.applies() {
            Applies::Nowhere(why) => return Fate::NotApplicable(why),
            Applies::Messages(writers) => writers,
            _ => Vec::new(),
        };
        let places: &[(Class, &[Field])] = match rule.log_source.applies() {
            Applies::Events(class) => &[(class, class.texts())],
            Applies::Messages(_) => &[(Class::Log, Class::Log.texts())],
            _ => &[
                (Class::Log, Class::Log.texts()),
                (Class::ProcessCreation, &[Field::CommandLine]),
            ],
        };
        let number = self.rules.len() as u32;
        let mut why = None;
        let mut missing: Option<Vec<String>> = None;
        for (class, texts) in places {
            match self.class(*class, texts, &writers, &rule, detection) {
                Ok((expression, absent)) => {
                    let (_, rules) = self.of_class(*class);
                    rules.push((number, expression));
                    missing = Some(match missing {
                        None => absent,
                        Some(before) => before
                            .into_iter()
                            .filter(|name| absent.contains(name))
                            .collect(),
                    });
                }
                Err(reason) => why = why.or(Some(reason)),
            }
        }
        match (missing, why) {
            (Some(absent), _) => {
                self.rules.push(rule);
                Fate::Loaded {
                    rule: number,
                    absent,
                }
            }
            (None, why) => Fate::NotApplicable(why.unwrap_or_default()),
        }
    }

    /// The rule over events of one class, and what it tests that they never carry; or why it can't be.
    fn class(
        &mut self,
        class: Class,
        texts: &[Field],
        writers: &[(Field, String)],
        rule: &Rule,
        detection: &rule::Detection,
    ) -> Result<(Expression, Vec<String>), String> {
        if !self.options.classes.contains(&class) {
            return Err(format!("no probe reports {} events", class.name()));
        }
        let definition = rule.log_source.definition.as_deref().unwrap_or_default();
        let watches = audit::watches(definition);
        let mut around = Surroundings {
            options: self.options,
            texts,
            reads: audit::sees_reads(&watches, &rule.tags),
            watches: &watches,
            absent: Vec::new(),
        };
        let (atoms, _) = self.of_class(class);
        let expression = atoms.detection(detection, &mut around);
        let absent = around.absent;
        match expression {
            Expression::Constant(false) if absent.is_empty() => {
                Err("its condition can never hold".into())
            }
            Expression::Constant(false) => Err(format!(
                "it needs {}, which {} events do not carry",
                absent.join(", "),
                class.name()
            )),
            Expression::Constant(true) => Err("its condition always holds".into()),
            expression if writers.is_empty() => Ok((expression, absent)),
            expression => {
                let (atoms, _) = self.of_class(class);
                let written = atoms.any_of(writers);
                Ok((Expression::all([expression, written]), absent))
            }
        }
    }

    fn of_class(&mut self, class: Class) -> (&mut Atoms, &mut Vec<(u32, Expression)>) {
        let known = self.classes.iter().position(|c| c.class == class);
        let position = known.unwrap_or_else(|| {
            self.classes.push(ClassRules {
                class,
                atoms: Atoms::new(class),
                rules: Vec::new(),
            });
            self.classes.len() - 1
        });
        let ClassRules { atoms, rules, .. } = &mut self.classes[position];
        (atoms, rules)
    }

    fn finish(mut self) -> RuleSet {
        let pending = std::mem::take(&mut self.pending);
        let (tied, quiet) = pending::tie(pending, &self.classes, &mut self.rules, &mut self.report);
        let Builder {
            rules,
            report,
            classes,
            ..
        } = self;
        let classes = classes
            .into_iter()
            .filter(|c| !c.rules.is_empty())
            .collect();
        RuleSet {
            rules,
            report,
            matcher: Matcher::build(classes),
            correlations: Correlations::new(tied),
            quiet,
        }
    }
}
