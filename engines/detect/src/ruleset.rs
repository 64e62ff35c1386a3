//! Rule files to one matcher, with the fate of every rule: loaded, not applicable (why) or failed (where and why).
//! One rule that fails takes nothing else down with it.

use crate::audit;
use crate::class::Class;
use crate::compile::{Atoms, ClassRules, Surroundings};
use crate::error::RuleError;
use crate::expression::Expression;
use crate::field::Field;
use crate::logsource::Applies;
use crate::matcher::Matcher;
use crate::options::Options;
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
}

impl RuleSet {
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

struct Builder<'o> {
    options: &'o Options,
    rules: Vec<Rule>,
    report: Vec<Listed>,
    classes: Vec<ClassRules>,
    ids: HashMap<String, String>,
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
                    let place = rule::place(document);
                    let mut report = listed(Fate::NotApplicable(String::new()));
                    (report.id, report.title, report.level) =
                        (rule.id.clone(), rule.title.clone(), Some(rule.level));
                    report.fate = match self.ids.get(&rule.id) {
                        Some(first) => Fate::Failed(RuleError::new(
                            place,
                            format!(
                                "the id {} is already that of a rule in {first}",
                                short(&rule.id)
                            ),
                        )),
                        None => {
                            self.ids.insert(rule.id.clone(), source.name.into());
                            self.rule(*rule, &detection)
                        }
                    };
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

    fn finish(self) -> RuleSet {
        let Builder {
            rules,
            mut report,
            classes,
            ..
        } = self;
        let classes = classes
            .into_iter()
            .filter(|c| !c.rules.is_empty())
            .collect();
        match Matcher::build(classes) {
            Ok(matcher) => RuleSet {
                rules,
                report,
                matcher,
            },
            // Only reached with more text in the rules than an automaton can number (2^31 states).
            Err(error) => {
                for listed in report
                    .iter_mut()
                    .filter(|l| matches!(l.fate, Fate::Loaded { .. }))
                {
                    let reason = format!("the rules together are too large: {error}");
                    listed.fate = Fate::Failed(RuleError {
                        line: 1,
                        column: 1,
                        reason,
                    });
                }
                RuleSet {
                    rules: Vec::new(),
                    report,
                    matcher: Matcher::default(),
                }
            }
        }
    }
}
