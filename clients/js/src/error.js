export class StatshubError extends Error {
  constructor(message, code, status) {
    super(message);
    this.name = "StatshubError";
    this.code = code;
    this.status = status;
  }
}
