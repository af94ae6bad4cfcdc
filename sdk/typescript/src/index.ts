/** `@repute/core`: gates, an engine that runs them, telemetry that delivers the verdicts, and a typed client. */

export type * from "./api.js";
export type { Books, Cut, Dropped, State } from "./books.js";
export { ReputeClient } from "./client.js";
export { createEngine } from "./engine.js";
export type { Engine, EngineSettings, EvaluationResult } from "./engine.js";
export { ReputeError } from "./error.js";
export type { Detail } from "./error.js";
export type { Event, EventGate, Trackable, TrackableGate } from "./event.js";
export type { EvaluationContext, Gate, GateOutcome, GateResult, GateRun } from "./gate.js";
export { gates } from "./gates.js";
export type { ContentOptions } from "./gates/content.js";
export type { FilesystemOptions } from "./gates/filesystem.js";
export type { LatencyOptions } from "./gates/latency.js";
export type { PiiOptions } from "./gates/pii.js";
export type { AdomainVerifyOptions } from "./gates/rtb/adomain_verify.js";
export type { AudienceSafetyOptions } from "./gates/rtb/audience_safety.js";
export type { BidSanityOptions } from "./gates/rtb/bid_sanity.js";
export type { TmaxGuardOptions } from "./gates/rtb/tmax_guard.js";
export type { Schema, SchemaOptions } from "./gates/schema.js";
export type { SecretsOptions } from "./gates/secrets.js";
export { ReputeSettingsError } from "./settings.js";
export type { ConnectionSettings, TelemetrySettings, WhenFull } from "./settings.js";
export { ReputeTelemetry, ReputeTelemetry as PectaTelemetry } from "./telemetry.js";
