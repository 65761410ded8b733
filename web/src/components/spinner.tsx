/** Says «something goes on» to the eye alone; the text beside it says what. */
export function Spinner() {
  return <span className="spinner" aria-hidden="true" />;
}
