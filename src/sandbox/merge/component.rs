//! The outer half: which core modules a component has, and what each of their imports means.

use super::MergeError;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentTypeRef, Encoding, ExternalKind, Instance,
    Parser, Payload,
};

/// What an import of a core module stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// An export of another core module.
    Module { module: usize, name: &'a str },
    /// A function of the host: of an interface, or the drop of one of its resources.
    Host { interface: &'a str, function: HostFunction<'a> },
}

/// A function that the host supplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostFunction<'a> {
    Named(&'a str),
    Drop(&'a str),
}

#[derive(Debug)]
enum CoreInstance<'a> {
    Module { module: usize, arguments: Vec<(&'a str, usize)> },
    Bundle(Vec<(&'a str, ExternalKind, usize)>),
}

#[derive(Debug, Clone, Copy)]
enum CoreItem<'a> {
    Export {
        instance: usize,
        name: &'a str,
    },
    Host {
        interface: &'a str,
        function: HostFunction<'a>,
    },
    /// A builtin that only an asynchronous or resource-owning component needs.
    Unknown,
}

/// The parts of a component.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    /// Core modules, in order of definition.
    pub modules: Vec<&'a [u8]>,
    /// Which core instance each module became.
    instance_of: Vec<Option<usize>>,
    instances: Vec<CoreInstance<'a>>,
    functions: Vec<CoreItem<'a>>,
    tables: Vec<CoreItem<'a>>,
    memories: Vec<CoreItem<'a>>,
    globals: Vec<CoreItem<'a>>,
    /// Imported instances by name; others are none.
    interfaces: Vec<Option<&'a str>>,
    /// Functions of the component level: interface and name where they are imported.
    lifted: Vec<Option<(&'a str, &'a str)>>,
    types: Vec<Option<(&'a str, &'a str)>>,
}

/// Reads a component; what lies inside nested components is skipped.
pub fn parse(bytes: &[u8]) -> Result<Parts<'_>, MergeError> {
    let mut parts = Parts::default();
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding != Encoding::Component {
                    return Err(MergeError::new("it is no component"));
                }
                depth += 1;
            }
            Payload::End(_) => depth -= 1,
            Payload::ModuleSection { unchecked_range, .. } if depth == 1 => {
                // Of a component that was cut off it leads beyond the end.
                let module = bytes.get(unchecked_range).ok_or_else(|| MergeError::new("a module is cut off"))?;
                parts.modules.push(module);
                parts.instance_of.push(None);
            }
            payload if depth == 1 => parts.section(payload)?,
            _ => {}
        }
    }
    Ok(parts)
}

impl<'a> Parts<'a> {
    fn section(&mut self, payload: Payload<'a>) -> Result<(), MergeError> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.core_instance(instance?)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                self.interfaces.extend((0..section.count()).map(|_| None));
            }
            Payload::ComponentTypeSection(section) => self.types.extend((0..section.count()).map(|_| None)),
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.canonical(&function?);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let name = import.name.name;
                    match import.ty {
                        ComponentTypeRef::Instance(_) => self.interfaces.push(Some(name)),
                        ComponentTypeRef::Func(_) => self.lifted.push(Some(("", name))),
                        ComponentTypeRef::Type(_) => self.types.push(None),
                        _ => return Err(MergeError::new(format!("it imports {name:?}, which is no interface"))),
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ComponentExternalKind::Func => self.lifted.push(None),
                        ComponentExternalKind::Type => self.types.push(None),
                        ComponentExternalKind::Instance => self.interfaces.push(None),
                        _ => {}
                    }
                }
            }
            Payload::ComponentStartSection { .. } => return Err(MergeError::new("it has a start function")),
            _ => {}
        }
        Ok(())
    }

    fn core_instance(&mut self, instance: Instance<'a>) -> Result<(), MergeError> {
        let index = self.instances.len();
        self.instances.push(match instance {
            Instance::Instantiate { module_index, args } => {
                let module = module_index as usize;
                let slot = self.instance_of.get_mut(module).ok_or_else(|| MergeError::new("a module is missing"))?;
                if slot.replace(index).is_some() {
                    return Err(MergeError::new("it instantiates one module twice"));
                }
                CoreInstance::Module {
                    module,
                    arguments: args.iter().map(|argument| (argument.name, argument.index as usize)).collect(),
                }
            }
            Instance::FromExports(exports) => CoreInstance::Bundle(
                exports.iter().map(|export| (export.name, export.kind, export.index as usize)).collect(),
            ),
        });
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) -> Result<(), MergeError> {
        match *alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let interface = self.interfaces.get(instance_index as usize).copied().flatten();
                let item = interface.map(|interface| (interface, name));
                match kind {
                    ComponentExternalKind::Func => self.lifted.push(item),
                    ComponentExternalKind::Type => self.types.push(item),
                    ComponentExternalKind::Instance => self.interfaces.push(None),
                    _ => return Err(MergeError::new(format!("it aliases {name:?} of an interface"))),
                }
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let item = CoreItem::Export { instance: instance_index as usize, name };
                self.core_items(kind)?.push(item);
            }
            ComponentAlias::Outer { .. } => self.types.push(None),
        }
        Ok(())
    }

    fn canonical(&mut self, function: &CanonicalFunction) {
        let drop_of = |resource: u32| self.types.get(resource as usize).copied().flatten();
        let item = match function {
            CanonicalFunction::Lift { .. } => {
                self.lifted.push(None);
                return;
            }
            CanonicalFunction::Lower { func_index, .. } => {
                self.lifted.get(*func_index as usize).copied().flatten().map_or(
                    CoreItem::Unknown,
                    |(interface, name)| CoreItem::Host { interface, function: HostFunction::Named(name) },
                )
            }
            CanonicalFunction::ResourceDrop { resource } => {
                drop_of(*resource).map_or(CoreItem::Unknown, |(interface, name)| CoreItem::Host {
                    interface,
                    function: HostFunction::Drop(name),
                })
            }
            _ => CoreItem::Unknown,
        };
        self.functions.push(item);
    }

    fn core_items(&mut self, kind: ExternalKind) -> Result<&mut Vec<CoreItem<'a>>, MergeError> {
        match kind {
            ExternalKind::Func => Ok(&mut self.functions),
            ExternalKind::Table => Ok(&mut self.tables),
            ExternalKind::Memory => Ok(&mut self.memories),
            ExternalKind::Global => Ok(&mut self.globals),
            _ => Err(MergeError::new("it uses tags")),
        }
    }

    /// What a module's import means.
    pub fn resolve(&self, module: usize, from: &str, name: &'a str) -> Result<Target<'a>, MergeError> {
        let lost = || MergeError::new(format!("import {from:?} {name:?} of module {module} leads nowhere"));
        let instance = self.instance_of.get(module).copied().flatten().ok_or_else(lost)?;
        let CoreInstance::Module { arguments, .. } = &self.instances[instance] else { return Err(lost()) };
        let argument = arguments.iter().find(|argument| argument.0 == from).ok_or_else(lost)?;
        self.export(argument.1, name).ok_or_else(lost)
    }

    /// Follows bundles and aliases; an index only ever points to what was defined before, so this ends.
    fn export(&self, instance: usize, name: &'a str) -> Option<Target<'a>> {
        match self.instances.get(instance)? {
            CoreInstance::Module { module, .. } => Some(Target::Module { module: *module, name }),
            CoreInstance::Bundle(exports) => {
                let &(_, kind, index) = exports.iter().find(|export| export.0 == name)?;
                let items = match kind {
                    ExternalKind::Func => &self.functions,
                    ExternalKind::Table => &self.tables,
                    ExternalKind::Memory => &self.memories,
                    ExternalKind::Global => &self.globals,
                    _ => return None,
                };
                match *items.get(index)? {
                    CoreItem::Export { instance: inner, name } if inner < instance => self.export(inner, name),
                    CoreItem::Host { interface, function } => Some(Target::Host { interface, function }),
                    CoreItem::Export { .. } | CoreItem::Unknown => None,
                }
            }
        }
    }

    /// When a module is instantiated: its place in that order; modules that never are come last.
    pub fn instantiated(&self, module: usize) -> usize {
        self.instance_of.get(module).copied().flatten().unwrap_or(usize::MAX)
    }
}
