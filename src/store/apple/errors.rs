//! Apple's error numbers and what they mean to us, in one table. New numbers may appear at any time: one that is not here
//! refuses what it was said of, with its number. Apple's own words are not kept, for a holder's name may be in them.

use super::super::terms::{Settled, Sought, Trouble};

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The token does not open the door.
    Credentials(&'static str),
    /// Nothing was done, and the same may be asked again later.
    Busy,
    /// The store is in trouble itself.
    Broken,
    /// The unit's service is gone.
    Gone,
    /// The version is not known any more: all is to be read again.
    StaleVersion,
    /// A cursor that is good no more.
    StaleCursor,
    /// A page that is not there, as when a list has become shorter.
    NoSuchPage,
    /// An event that the store does not know.
    NoSuchEvent,
    /// The holder is not a user whom the store knows.
    NoSuchUser,
    /// The user is there already, which is what was wanted.
    UserExists,
    NotEnough,
    /// Of this holder, or of this asset: no.
    Refused(&'static str),
}

/// Every number that the documents list.
pub(super) fn meaning(number: i64) -> Option<Meaning> {
    use Meaning as M;
    Some(match number {
        9601 => M::Credentials("login required"),
        9621 => M::Credentials("the content token has expired"),
        9625 => M::Credentials("the content token was revoked"),
        9637 => M::Credentials("not for a facilitator's account"),
        9647 => M::Credentials("not for a token of the older kind"),
        9722 => M::Credentials("the authorization header is malformed"),
        9634 => M::Gone,
        9646 | 9729 => M::Busy,
        9603 => M::Broken,
        9721 => M::StaleVersion,
        9650 => M::NoSuchPage,
        9708 => M::NoSuchEvent,
        9609 => M::NoSuchUser,
        9716 => M::UserExists,
        9709 => M::NotEnough,
        9602 => M::Refused("an argument is invalid"),
        9623 => M::Refused("the push token is invalid"),
        9635 => M::Refused("the Apple Account can't be associated"),
        9641 => M::Refused("the Apple Account is another user's already"),
        9644 => M::Busy,
        9700 => M::Refused("too many assets in one request"),
        9701 => M::Refused("too many users in one request"),
        9702 => M::Refused("too many serial numbers in one request"),
        9703 => M::Refused("an asset stands twice in one request"),
        9704 => M::Refused("a user stands twice in one request"),
        9705 => M::Refused("a serial number stands twice in one request"),
        9706 => M::Refused("the asset is not revocable"),
        9707 => M::Refused("the asset is not for devices"),
        9710 => M::Refused("the notification URL or its token is missing"),
        9711 => M::Refused("the notification URL or its token is too long"),
        9712 => M::Refused("the notification URL is not HTTPS"),
        9728 => M::Refused("the notification URL can't be reached"),
        9713 => M::Refused("the tool's metadata is too long"),
        9723 => M::Refused("the tool's name, id or metadata is missing"),
        9724 => M::Refused("the tool's id is too long"),
        9725 => M::Refused("the tool's name is too long"),
        9714 => M::Refused("too many users to make in one request"),
        9715 => M::Refused("a user to be made stands twice"),
        9717 => M::Refused("the user's mail address is none"),
        9720 => M::Refused("no user is given"),
        9718 => M::Refused("no asset is given"),
        9719 => M::Refused("no holder is given"),
        9726 => M::Refused("another method is wanted"),
        9727 => M::Refused("another content type is wanted"),
        9812 => M::StaleCursor,
        9811..=9818 => M::Refused("the subscription does not allow it"),
        _ => return None,
    })
}

/// An error of a whole call, or of one holder in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AppleError {
    /// 0 where the answer names none.
    pub(super) number: i64,
    pub(super) status: u16,
}

impl AppleError {
    /// Of an event, which has no status.
    pub(super) fn in_event(number: i64) -> Self {
        Self { number, status: 0 }
    }

    pub(super) fn meaning(self) -> Meaning {
        meaning(self.number).unwrap_or(match self.status {
            401 | 403 => Meaning::Credentials("the store lets nobody in with this token"),
            410 => Meaning::Gone,
            429 | 503 => Meaning::Busy,
            500.. => Meaning::Broken,
            _ => Meaning::Refused("for a reason that has no words yet"),
        })
    }

    fn words(self) -> String {
        let words = match self.meaning() {
            Meaning::Credentials(words) | Meaning::Refused(words) => words,
            Meaning::Busy => "busy",
            Meaning::Broken => "an error inside the store",
            Meaning::Gone => "the service was removed",
            Meaning::StaleVersion => "the version is not known",
            Meaning::StaleCursor => "the cursor is not known",
            Meaning::NoSuchPage => "there is no such page",
            Meaning::NoSuchEvent => "there is no such event",
            Meaning::NoSuchUser => "the user is not registered",
            Meaning::UserExists => "the user is registered already",
            Meaning::NotEnough => "no license is left",
        };
        format!("{}: {words}", self.number)
    }

    /// What it is to a call as a whole.
    pub(super) fn trouble(self) -> Trouble {
        let refused = |status| Trouble::Refused { status, words: self.words() };
        match self.meaning() {
            // a unit that was removed is closed for good, and says nothing of the others
            Meaning::Credentials(_) | Meaning::Gone => Trouble::Credentials(self.words()),
            Meaning::Busy => Trouble::Throttled { retry_after_seconds: None },
            Meaning::Broken => refused(self.status.max(500)),
            Meaning::StaleVersion
            | Meaning::StaleCursor
            | Meaning::NoSuchPage
            | Meaning::NoSuchEvent
            | Meaning::NoSuchUser
            | Meaning::UserExists
            | Meaning::NotEnough
            | Meaning::Refused(_) => refused(if self.status == 0 { 400 } else { self.status }),
        }
    }

    /// Whether it is about a part of what was asked, so that the rest may be asked again without it.
    pub(super) fn is_of_a_part(self) -> bool {
        match self.meaning() {
            Meaning::NoSuchUser | Meaning::UserExists | Meaning::NotEnough | Meaning::Refused(_) => true,
            Meaning::Credentials(_)
            | Meaning::Busy
            | Meaning::Broken
            | Meaning::Gone
            | Meaning::StaleVersion
            | Meaning::StaleCursor
            | Meaning::NoSuchPage
            | Meaning::NoSuchEvent => false,
        }
    }

    /// What it is to one seat, once it is known that the store did not do what was sought.
    pub(super) fn settled(self, sought: Sought) -> Settled {
        let refused = |words| match sought {
            Sought::Grant => Settled::Refused(words),
            Sought::Release => Settled::ReleaseRefused(words),
        };
        match self.meaning() {
            Meaning::Credentials(_) | Meaning::Busy | Meaning::Broken | Meaning::Gone => {
                Settled::NotSent(self.trouble())
            }
            Meaning::NotEnough if sought == Sought::Grant => Settled::NotEnough,
            Meaning::NotEnough
            | Meaning::StaleVersion
            | Meaning::StaleCursor
            | Meaning::NoSuchPage
            | Meaning::NoSuchEvent
            | Meaning::NoSuchUser
            | Meaning::UserExists
            | Meaning::Refused(_) => refused(self.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_number_is_to_a_call_and_to_a_seat() {
        let credentials = |words: &str| Trouble::Credentials(words.into());
        let table = [
            (9621, 401, Some(credentials("9621: the content token has expired")), false),
            (9625, 401, Some(credentials("9625: the content token was revoked")), false),
            (9646, 429, Some(Trouble::Throttled { retry_after_seconds: None }), false),
            (9634, 410, Some(Trouble::Credentials("9634: the service was removed".into())), false),
            (0, 401, Some(credentials("0: the store lets nobody in with this token")), false),
            (9703, 400, None, true),
            (9999, 400, None, true),
        ];
        for (number, status, trouble, is_of_a_part) in table {
            let error = AppleError { number, status };
            assert_eq!(error.is_of_a_part(), is_of_a_part, "{number}");
            if let Some(trouble) = trouble {
                assert_eq!(error.trouble(), trouble, "{number}");
            }
        }
        let seat = |number, sought| AppleError::in_event(number).settled(sought);
        assert_eq!(seat(9709, Sought::Grant), Settled::NotEnough);
        assert_eq!(seat(9707, Sought::Grant), Settled::Refused("9707: the asset is not for devices".into()));
        assert_eq!(seat(9706, Sought::Release), Settled::ReleaseRefused("9706: the asset is not revocable".into()));
        assert!(matches!(seat(9603, Sought::Grant), Settled::NotSent(trouble) if trouble.passes()));
        assert!(matches!(seat(9644, Sought::Grant), Settled::NotSent(trouble) if trouble.passes()));
        assert!(matches!(seat(9621, Sought::Release), Settled::NotSent(trouble) if !trouble.passes()));
        assert_eq!(seat(12345, Sought::Grant), Settled::Refused("12345: for a reason that has no words yet".into()));
    }
}
