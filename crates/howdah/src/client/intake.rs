//! What the client has sent while it has no server: which of it needs one.

use howdah_session::Plan;

use super::Client;
use super::end::End;

impl Client {
    /// Looks at `input`, answers what needs no server, and says what the rest needs.
    pub(super) fn take_in(&mut self) -> Result<Plan, End> {
        let input = std::mem::take(&mut self.input);
        let mut at = self.session.drop_rest(&input);
        let plan = self.look(&input, &mut at);
        if at < input.len() {
            self.input = if at == 0 { input } else { input[at..].to_vec() };
        }
        plan
    }

    fn look(&mut self, input: &[u8], at: &mut usize) -> Result<Plan, End> {
        let shared = &self.pooler.session;
        if self.session.is_local() {
            let turn = self.session.answer_locally(shared, &input[*at..], &mut self.output);
            let turn = turn.map_err(|fatal| self.broken(&fatal))?;
            *at += turn.consumed;
            if turn.terminate {
                return Ok(Plan::Terminate);
            }
            // The answers go out first; a client with nothing more to say is read from.
            let nothing = turn.consumed == 0 || *at == input.len();
            return Ok(if nothing && self.output.is_empty() {
                Plan::NeedMore
            } else {
                Plan::Ignore { bytes: 0 }
            });
        }
        let known = self.session.answer_known(shared, &input[*at..], &mut self.output);
        if known > 0 {
            *at += known;
            self.entry.counters.client_parses.add(self.session.take_tally().client_parses.into());
            // The answer goes out before the next batch is looked at.
            return Ok(Plan::Ignore { bytes: 0 });
        }
        let plan = self.session.plan(shared, &input[*at..]);
        let plan = plan.map_err(|fatal| self.broken(&fatal))?;
        if let (Plan::Sets { batch }, Some(topology)) = (plan, self.entry.topology()) {
            let batch = &input[*at..*at + batch];
            let answered = self.session.answer_sets(shared, &topology, batch, &mut self.output);
            if answered {
                *at += batch.len();
            }
            return Ok(if answered { Plan::Ignore { bytes: 0 } } else { Plan::Primary });
        }
        if let Plan::Ignore { bytes } = plan {
            self.session.ignore(bytes);
            *at += self.session.drop_rest(&input[*at..]);
            if *at == input.len() {
                return Ok(Plan::NeedMore);
            }
        }
        Ok(plan)
    }
}
