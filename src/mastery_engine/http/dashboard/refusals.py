"""What pages say of launches that were refused, in the reader's language.

A launch is refused in English, by the sentence of that fault: it is for metrics, the log and whoever mends it. The
sentences that are always the same are translated as they are; of the others a page says what they have in common.
"""

from collections.abc import Mapping

from mastery_engine.http.dashboard.words import N_

# Tests hold that services say these, and that no refusal is without one.
ALWAYS = (
    N_("This address opens from a course: open the link there."),
    N_("The learning platform refused the sign-in: open the link in your course again."),
    N_("The launch is not complete: the platform did not send its id_token and state."),
    N_("The launch is signed with a key that the platform has not published."),
    N_("The launch's signature is wrong: it was changed, or others made it."),
    N_("The launch is not signed: its id_token is not a JSON Web Token that can be read."),
    N_(
        "This deployment of the tool is not known here: the administrator adds it by `mastery-engine lti add`, with its"
        " --deployment-id."
    ),
    N_("The launch comes from another platform than the one that it began at."),
    N_("The launch is for another tool: its aud or azp is not our client id."),
    N_("The launch has expired: open the link in your course again."),
    N_("The launch is not valid yet: the clock of the platform or of this service is wrong."),
    N_("The launch was made more than an hour ago: open the link in your course again."),
    N_("The launch leads elsewhere: its target_link_uri is not an address of this service."),
    N_("The link leads elsewhere: its target_link_uri is not an address of this service."),
    N_("The launch's sub cannot be the id of a person."),
    N_("This launch has been used already, or began too long ago: open the link in your course again."),
    N_("This launch was made for another sign-in, or has been used already: open the link in your course again."),
    N_("PUBLIC_URL is not set: the operator sets it to the address by which browsers reach this service."),
    N_("PUBLIC_URL is not set: the operator sets it first."),
    N_(
        "The learning platform is not known here: its administrator adds it by `mastery-engine lti add`, or registers "
        "it by an invitation."
    ),
    N_("The learning platform did not say its client_id, and several of its clients are known here."),
    N_("This link stands in no course, so there is no class to show: open one that stands in a course."),
    N_(
        "Your data here was erased, and nothing of you is kept until your school records your consent anew: ask your "
        "teacher."
    ),
    N_("Only who teaches a course may choose what its links open."),
    N_("The platform takes no links here: it must accept ltiResourceLink."),
    N_("This choice was made already, or an hour ago: begin again in your course."),
    N_(
        "Registration needs an invitation, which registers one platform once: this one was used, is too old, or is "
        "none. The operator makes one by `mastery-engine lti invite`."
    ),
    N_("The registration_token is too long, or is none."),
    N_("This platform is connected already, under this client id."),
    N_("The platform's answer is not JSON that can be read."),
    N_("The platform's configuration cannot be used: it stands at another host than its issuer's."),
    N_("The platform did not say under which client id it registered this tool."),
)
NOT_SIGNED = N_("Who sent this launch cannot be checked: it is not signed as it must be.")
# By the reason of the refusal.
OTHERS: Mapping[str, str] = {
    "claims": N_("The learning platform did not send all that opening a page takes, or not as it must be."),
    **dict.fromkeys(("signature", "algorithm"), NOT_SIGNED),
    "message": N_("The learning platform sent a message of a kind or a version that is not known here."),
    "registration": N_("The platform was not registered: what it sent cannot be used."),
}
