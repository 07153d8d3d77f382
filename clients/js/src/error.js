export class StatshubError extends Error {
  constructor(message, code, status, details) {
    super(message);
    this.name = "StatshubError";
    this.code = code;
    this.status = status;
    this.details = details;
  }
}
