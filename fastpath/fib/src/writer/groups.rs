//! Nexthop groups.

use ze_packet::{GroupId, NexthopId};

use super::{Error, Fib, buckets};
use crate::{Group, GroupOptions, Target};

/// The most members of a group.
pub const GROUP_MEMBERS_MAX: usize = 128;

pub(super) struct GroupEntry {
    members: Vec<(NexthopId, u8)>,
    options: GroupOptions,
    buckets: Vec<NexthopId>,
    pub(super) routes: u64,
}

impl Fib {
    /// Makes a group of nexthops with weights of 1 to 255.
    ///
    /// # Errors
    /// When the table is full, a member does not exist, or there are none or too many.
    pub fn create_group(&mut self, members: &[(NexthopId, u8)]) -> Result<GroupId, Error> {
        self.create_group_with(members, GroupOptions::default())
    }

    /// Makes a group that chooses in a certain way.
    ///
    /// # Errors
    /// As for [`Fib::create_group`].
    pub fn create_group_with(
        &mut self,
        members: &[(NexthopId, u8)],
        options: GroupOptions,
    ) -> Result<GroupId, Error> {
        self.check_members(members)?;
        let id = GroupId(self.group_numbers.take()?);
        self.groups.insert(id, GroupEntry { members: Vec::new(), options, buckets: Vec::new(), routes: 0 });
        self.set_members(id, members, options);
        Ok(id)
    }

    /// Replaces a group's members.
    ///
    /// # Errors
    /// As for [`Fib::create_group`], or when there is no such group.
    pub fn replace_group(&mut self, id: GroupId, members: &[(NexthopId, u8)]) -> Result<(), Error> {
        let options = self.groups.get(&id).ok_or_else(|| Error::Unknown(id.to_string()))?.options;
        self.replace_group_with(id, members, options)
    }

    /// Replaces a group's members and the way it chooses.
    ///
    /// # Errors
    /// As for [`Fib::replace_group`].
    pub fn replace_group_with(
        &mut self,
        id: GroupId,
        members: &[(NexthopId, u8)],
        options: GroupOptions,
    ) -> Result<(), Error> {
        self.check_members(members)?;
        let there = self.groups.get(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        if there.members != members || there.options != options {
            self.set_members(id, members, options);
        }
        Ok(())
    }

    /// Removes a group.
    ///
    /// # Errors
    /// While routes lead to it.
    pub fn remove_group(&mut self, id: GroupId) -> Result<(), Error> {
        let entry = self.groups.get(&id).ok_or_else(|| Error::Unknown(id.to_string()))?;
        if entry.routes > 0 {
            return Err(Error::InUse(id.to_string(), format!("{} routes", entry.routes)));
        }
        let options = entry.options;
        self.set_members(id, &[], options);
        let _ = self.tables.groups.replace(id.index(), None);
        self.groups.remove(&id);
        self.group_numbers.give(id.0);
        Ok(())
    }

    /// The members of a target: itself for a nexthop.
    pub fn members(&self, target: Target) -> Vec<(NexthopId, u8)> {
        match target {
            Target::Nexthop(id) => vec![(id, 1)],
            Target::Group(id) => self.groups.get(&id).map_or_else(Vec::new, |g| g.members.clone()),
        }
    }

    /// How a group chooses.
    pub fn group_options(&self, id: GroupId) -> Option<GroupOptions> {
        self.groups.get(&id).map(|group| group.options)
    }

    /// How many hash buckets a group has.
    pub fn bucket_count(&self, id: GroupId) -> usize {
        self.groups.get(&id).map_or(0, |group| group.buckets.len())
    }

    /// The member that a flow of this hash takes, as workers choose it.
    pub fn choose(&self, target: Target, hash: u32) -> Option<NexthopId> {
        match target {
            Target::Nexthop(id) => Some(id),
            Target::Group(id) => {
                let buckets = self.groups.get(&id)?.buckets.clone();
                Some(Group::new(buckets)?.choose(hash))
            }
        }
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    fn check_members(&self, members: &[(NexthopId, u8)]) -> Result<(), Error> {
        if members.is_empty() || members.len() > GROUP_MEMBERS_MAX {
            let message = format!("a group has 1 to {GROUP_MEMBERS_MAX} members, not {}", members.len());
            return Err(Error::Conflict(message));
        }
        if let Some((id, _)) = members.iter().find(|(_, weight)| *weight == 0) {
            return Err(Error::Conflict(format!("{id} has a weight of 0; 1 to 255 are right")));
        }
        match members.iter().find(|(id, _)| !self.nexthops.contains_key(id)) {
            Some((id, _)) => Err(Error::Unknown(id.to_string())),
            None => Ok(()),
        }
    }

    /// The members were checked.
    fn set_members(&mut self, id: GroupId, members: &[(NexthopId, u8)], options: GroupOptions) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let old = std::mem::replace(&mut group.members, members.to_vec());
        let keeps = options.resilient && group.options.resilient && !group.buckets.is_empty();
        group.options = options;
        group.buckets = match keeps {
            true => buckets::kept(&group.buckets, &old, members),
            false => buckets::fresh(members, options.resilient),
        };
        let record = Group::new(group.buckets.clone());
        for (nexthop, _) in members {
            if let Some(entry) = self.nexthops.get_mut(nexthop) {
                entry.groups += 1;
            }
        }
        for (nexthop, _) in old {
            if let Some(entry) = self.nexthops.get_mut(&nexthop) {
                entry.groups -= 1;
            }
        }
        if let Some(group) = record {
            let group = group.with_symmetric(options.symmetric);
            let _ = self.tables.groups.replace(id.index(), Some(Box::new(group)));
        }
    }
}
