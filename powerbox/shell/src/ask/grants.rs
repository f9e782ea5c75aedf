//! Offers, requests, grants.

use super::{Choice, Object, pages, rows};
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::{Grant, Offer, Request, WhyLine, texts};

/// What a revocation did.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Revocation {
    /// Grants that ended: those that were named, and all below them.
    pub(crate) grants_ended: u32,
    /// Links cut: no call whose check comes later starts.
    pub(crate) cut: u32,
    /// Of them, links whose server confirmed that no call starts any more.
    pub(crate) quiet: u32,
    /// Servers that did not confirm in time.
    pub(crate) unconfirmed: Vec<String>,
    pub(crate) cut_after_us: u64,
    pub(crate) quiet_after_us: u64,
}

impl Node {
    pub(crate) async fn offers(&self) -> Outcome<Vec<Offer>> {
        pages(|cursor| async move {
            let mut request = self.operator().offers_request();
            request.get().set_cursor(cursor);
            let response = request.send().promise.await?;
            let results = response.get()?;
            Ok((rows!(results.get_rows(), Offer::read), results.get_cursor()))
        })
        .await
    }

    /// Undecided requests of an instance, or of all (""). `version` is that of the list seen last: waits for a later one.
    /// A powerbox that was started again counts anew, and is asked anew.
    pub(crate) async fn next_requests(&self, instance: &str, version: &mut Option<u64>) -> Outcome<Vec<Request>> {
        let first = match version {
            Some(_) => Some(self.requests(instance, *version).await),
            None => None,
        };
        let (requests, new) = match first {
            Some(Err(failure)) if failure.is_lost() => self.persist(|| self.requests(instance, None)).await?,
            None => self.persist(|| self.requests(instance, None)).await?,
            Some(answered) => answered?,
        };
        *version = Some(new);
        Ok(requests)
    }

    /// Undecided requests as they are now, and the version of that list; `after`: as soon as there is a later one.
    pub(crate) async fn requests(&self, instance: &str, after: Option<u64>) -> Outcome<(Vec<Request>, u64)> {
        let (mut requests, mut cursor, version) = self.requests_page(instance, after, 0).await?;
        // What changes between two pages is a later version than that of the first.
        while cursor != 0 {
            let (more, next, _) = self.requests_page(instance, None, cursor).await?;
            requests.extend(more);
            cursor = next;
        }
        Ok((requests, version))
    }

    async fn requests_page(
        &self,
        instance: &str,
        after: Option<u64>,
        cursor: u64,
    ) -> Outcome<(Vec<Request>, u64, u64)> {
        let mut request = self.operator().requests_request();
        request.get().set_instance(instance);
        request.get().set_after(after.unwrap_or(0));
        request.get().set_wait(after.is_some());
        request.get().set_cursor(cursor);
        let response = request.send().promise.await?;
        let results = response.get()?;
        Ok((rows!(results.get_rows(), Request::read), results.get_cursor(), results.get_version()))
    }

    /// Grants what was asked for; the grant's number.
    pub(crate) async fn approve(&self, id: u64, choice: &Choice) -> Outcome<u64> {
        let mut request = self.operator().approve_request();
        request.get().set_request(id);
        choice.write_to(request.get().init_choice());
        Ok(request.send().promise.await?.get()?.get_grant())
    }

    pub(crate) async fn deny(&self, id: u64, always: bool) -> Outcome {
        let mut request = self.operator().deny_request();
        request.get().set_request(id);
        request.get().set_always(always);
        request.send().promise.await?;
        Ok(())
    }

    /// Grants without being asked; the grant's number.
    pub(crate) async fn grant(&self, instance: &str, label: &str, choice: &Choice) -> Outcome<u64> {
        let mut request = self.operator().grant_request();
        request.get().set_instance(instance);
        request.get().set_label(label);
        choice.write_to(request.get().init_choice());
        Ok(request.send().promise.await?.get()?.get_grant())
    }

    /// Grants in force, or all that ever were.
    pub(crate) async fn grants(&self, all: bool) -> Outcome<Vec<Grant>> {
        pages(|cursor| async move {
            let mut request = self.operator().grants_request();
            request.get().set_cursor(cursor);
            request.get().set_all(all);
            let response = request.send().promise.await?;
            let results = response.get()?;
            Ok((rows!(results.get_rows(), Grant::read), results.get_cursor()))
        })
        .await
    }

    pub(crate) async fn revoke(&self, grants: &[u64], reason: &str) -> Outcome<Revocation> {
        let mut request = self.operator().revoke_request();
        let mut list = request.get().init_grants(grants.len() as u32);
        for (index, grant) in (0..).zip(grants) {
            list.set(index, *grant);
        }
        request.get().set_reason(reason);
        let response = request.send().promise.await?;
        let results = response.get()?;
        Ok(Revocation {
            grants_ended: results.get_grants_ended(),
            cut: results.get_cut(),
            quiet: results.get_quiet(),
            unconfirmed: texts(results.get_unconfirmed())?,
            cut_after_us: results.get_cut_after_us(),
            quiet_after_us: results.get_quiet_after_us(),
        })
    }

    pub(crate) async fn why(&self, target: &str) -> Outcome<Vec<WhyLine>> {
        let mut request = self.operator().why_request();
        request.get().set_target(target);
        let response = request.send().promise.await?;
        Ok(rows!(response.get()?.get_lines(), WhyLine::read))
    }

    /// Takes an object into this shell's own hands; its link comes to the door under `label`.
    pub(crate) async fn open(&self, choice: &Choice, label: &str) -> Outcome<u64> {
        let mut request = self.operator().open_request();
        let mut parameters = request.get();
        parameters.set_label(label);
        if let Object::Target(target) = &choice.object {
            parameters.set_target(target);
        }
        choice.write_to(parameters.init_choice());
        Ok(request.send().promise.await?.get()?.get_grant())
    }
}
