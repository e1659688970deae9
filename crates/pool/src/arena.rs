//! A slab whose entries have names that are never used twice. Next: `list.rs`, which strings entries together.

use crate::ids::Id;
use slab::Slab;

/// Entries of one kind, reached by their [`Id`] in constant time.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slots: Slab<(u64, T)>,
    next_serial: u64,
}

impl<T> Arena<T> {
    pub(crate) fn new() -> Self {
        Arena { slots: Slab::new(), next_serial: 1 }
    }

    /// Puts an entry in. Memory bounds the number of entries far below `u32::MAX`; a place beyond it is never named.
    pub(crate) fn insert(&mut self, value: T) -> Id {
        let serial = self.next_serial;
        self.next_serial += 1;
        let index = self.slots.insert((serial, value));
        Id { index: u32::try_from(index).unwrap_or(u32::MAX), serial }
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        match self.slots.get(id.index as usize) {
            Some((serial, value)) if *serial == id.serial => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.slots.get_mut(id.index as usize) {
            Some((serial, value)) if *serial == id.serial => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        self.get(id)?;
        self.slots.try_remove(id.index as usize).map(|(_, value)| value)
    }

    /// The entry's name by its place, if there is one.
    pub(crate) fn id_at(&self, index: usize) -> Option<Id> {
        let (serial, _) = self.slots.get(index)?;
        Some(Id { index: u32::try_from(index).ok()?, serial: *serial })
    }

    /// One more than the highest place that was ever used: the bound of a walk by [`Arena::id_at`], which allows the
    /// arena to change on the way.
    pub(crate) fn places(&self) -> usize {
        self.slots.capacity()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.slots.iter().filter_map(|(index, (serial, value))| {
            Some((Id { index: u32::try_from(index).ok()?, serial: *serial }, value))
        })
    }
}
