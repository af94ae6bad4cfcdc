/** Gates for OpenRTB 2.5 and 2.6: the input is the bid request, the output the bid response. */

import { adomainVerify } from "./rtb/adomain_verify.js";
import { audienceSafety } from "./rtb/audience_safety.js";
import { bcatCompliance } from "./rtb/bcat_compliance.js";
import { bidSanity } from "./rtb/bid_sanity.js";
import { impidMatch } from "./rtb/impid_match.js";
import { tmaxGuard } from "./rtb/tmax_guard.js";

/** `gates.rtb`. */
export const rtb = { tmaxGuard, impidMatch, adomainVerify, bidSanity, audienceSafety, bcatCompliance } as const;
