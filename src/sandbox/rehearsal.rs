//! How the instance is prepared that the master image is made of.

use super::abi;
use super::faults::text;
use super::slot::{START, Slot};
use std::sync::Arc;
use wasmtime::{Result, bail};

/// Free memory at the upper end of the image's heap: programs that need less do not grow their memory.
const HEADROOM: u32 = 8 << 20;
/// `_Py_IMMORTAL_INITIAL_REFCNT` of CPython 3.14 on machines of 32 bits.
const IMMORTAL: u32 = 5 << 28;
/// More references than any object of the guest has: what looks like it is no count.
const MANY_REFERENCES: u32 = 1 << 20;
/// How often the usual ways are gone once the heap is in order.
const REHEARSALS: usize = 4;

impl Slot {
    /// Makes this instance one that a good master image can be made of: it has gone the ways of usual programs, so that
    /// caches are filled, and its heap has no holes, so that programs write to few pages, which lie side by side.
    pub async fn rehearse(&mut self) -> Result<()> {
        self.guest("prepare").await?;
        self.fill_heap().await?;
        self.guest("settle").await?;
        self.fill_heap().await?;
        for _ in 0..REHEARSALS {
            self.guest("prepare").await?;
        }
        Ok(())
    }

    /// Addresses of all objects of the interpreter. The instance is of no further use, as looking changes it.
    pub async fn survey(&mut self) -> Result<Vec<u32>> {
        let survey = self.instance.get_typed_func::<(), u32>(&mut self.store, "survey")?;
        let at = survey.call_async(&mut self.store, ()).await?;
        abi::numbers(self.memory.data(&self.store), at)
    }

    /// Makes those of these objects immortal that `twin`, an instance with the same history, has at the same place. What is
    /// never freed needs no reference count, and a count that does not change leaves its page as it is.
    pub fn immortalise(&mut self, objects: &[u32], twin: &Self) -> Result<()> {
        let other = twin.memory.data(&twin.store).to_vec();
        let memory = self.memory.data_mut(&mut self.store);
        for &object in objects {
            let (Ok(count), Ok(kind), Ok(twins)) = (
                abi::number(memory, object),
                abi::number(memory, object.wrapping_add(4)),
                abi::number(&other, object.wrapping_add(4)),
            ) else {
                continue;
            };
            if kind == twins && (1..MANY_REFERENCES).contains(&count) {
                abi::span_mut(memory, object, 4)?.copy_from_slice(&IMMORTAL.to_le_bytes());
            }
        }
        Ok(())
    }

    /// Calls a function of the guest that takes nothing and gives nothing.
    pub async fn guest(&mut self, name: &str) -> Result<()> {
        self.store.data_mut().output_left = 1 << 16;
        self.meter.start(START, &Arc::default());
        let function = self.instance.get_typed_func::<(), ()>(&mut self.store, name)?;
        let after = self.instance.get_typed_func::<(), ()>(&mut self.store, &format!("post-{name}"))?;
        if let Err(error) = function.call_async(&mut self.store, ()).await {
            let printed = text(std::mem::take(&mut self.store.data_mut().stderr));
            bail!("{name}: {error}: {}", printed.trim());
        }
        after.call_async(&mut self.store, ()).await?;
        let host = self.store.data_mut();
        host.stdout.clear();
        host.stderr.clear();
        Ok(())
    }

    /// Takes every free block of the C heap, from large to small, until the allocator cuts from its upper end.
    async fn fill_heap(&mut self) -> Result<()> {
        let malloc = self.instance.get_typed_func::<u32, u32>(&mut self.store, "malloc")?;
        let free = self.instance.get_typed_func::<u32, ()>(&mut self.store, "free")?;
        let end = malloc.call_async(&mut self.store, HEADROOM).await?;
        free.call_async(&mut self.store, end).await?;
        let mut size = HEADROOM / 2;
        while size >= 8 {
            loop {
                let at = malloc.call_async(&mut self.store, size).await?;
                if at == 0 || at >= end {
                    free.call_async(&mut self.store, at).await?;
                    break;
                }
            }
            size = if size > 4096 { (size - size / 16) & !7 } else { size - 8 };
        }
        Ok(())
    }
}
