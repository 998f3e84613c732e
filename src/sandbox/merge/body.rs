//! One function, written again with the merged module's numbers.

use super::MergeError;
use super::link::{Linker, Place};
use std::collections::HashMap;
use wasm_encoder::reencode::{Error as ReencodeError, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{Instruction, TypeSection};
use wasmparser::{FuncType, Operator};

/// Function types, each once.
#[derive(Default)]
pub(super) struct Types {
    pub section: TypeSection,
    numbers: HashMap<FuncType, u32>,
}

impl Types {
    pub fn number(&mut self, kind: &FuncType) -> Result<u32, MergeError> {
        if let Some(&number) = self.numbers.get(kind) {
            return Ok(number);
        }
        let number = self.section.len();
        let encoded = RoundtripReencoder.func_type(kind.clone()).map_err(|error| MergeError::new(error.to_string()))?;
        self.section.ty().func_type(&encoded);
        self.numbers.insert(kind.clone(), number);
        Ok(number)
    }
}

/// Writes one function again with the new numbers.
pub(super) struct Body<'a, 'b, 'c> {
    pub linker: &'c Linker<'a, 'b>,
    pub module: usize,
    pub numbers: &'c HashMap<Place<'a>, u32>,
    pub tables: &'c HashMap<Place<'a>, u32>,
    pub written: &'c HashMap<Place<'a>, u32>,
    pub types: &'c mut Types,
}

impl Reencode for Body<'_, '_, '_> {
    type Error = MergeError;

    fn function_index(&mut self, function: u32) -> Result<u32, ReencodeError<MergeError>> {
        Ok(self.numbers[&self.linker.functions[self.module][function as usize]])
    }

    fn table_index(&mut self, table: u32) -> Result<u32, ReencodeError<MergeError>> {
        Ok(self.tables[&self.linker.tables[self.module][table as usize]])
    }

    fn memory_index(&mut self, _memory: u32) -> Result<u32, ReencodeError<MergeError>> {
        Ok(0)
    }

    fn global_index(&mut self, global: u32) -> Result<u32, ReencodeError<MergeError>> {
        Ok(self.written[&self.linker.globals[self.module][global as usize]])
    }

    fn type_index(&mut self, kind: u32) -> Result<u32, ReencodeError<MergeError>> {
        let kind = &self.linker.modules[self.module].types[kind as usize];
        self.types.number(kind).map_err(ReencodeError::UserError)
    }

    fn instruction<'x>(&mut self, operator: Operator<'x>) -> Result<Instruction<'x>, ReencodeError<MergeError>> {
        if let Operator::GlobalGet { global_index } = operator {
            let place = self.linker.globals[self.module][global_index as usize];
            if !self.written.contains_key(&place) {
                return Ok(Instruction::I32Const(self.linker.constants[&place]));
            }
        }
        utils::instruction(self, operator)
    }
}
