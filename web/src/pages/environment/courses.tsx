import { useState } from 'react';
import { ApiError } from '../../api/errors';
import { workOnCourse } from '../../api/resources';
import type { DeviceCourse } from '../../api/types';
import { useAnnounce } from '../../components/announcer';
import { Button } from '../../components/button';
import { useErrorText } from '../../components/error-text';
import { Notice } from '../../components/notice';
import { useMessages } from '../../i18n/language';
import { useCourses, type CourseChoice } from '../../session/courses';

/** The courses that a student can begin to work on: each is copied into the own files, and later what is new in it. */
export function Courses({ device }: { device: string }) {
  const { courses } = useMessages();
  const choices = useCourses();
  if (choices.length === 0) return null;
  return (
    <section className="card courses">
      <h2>{courses.title}</h2>
      <p className="hint">{courses.lead}</p>
      <ul>
        {choices.map((course) => (
          <CourseRow key={course.name} device={device} course={course} />
        ))}
      </ul>
    </section>
  );
}

function CourseRow({ device, course }: { device: string; course: CourseChoice }) {
  const { courses } = useMessages();
  const announce = useAnnounce();
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<DeviceCourse>();
  const [error, setError] = useState<unknown>();

  const work = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    setResult(undefined);
    try {
      setResult(await workOnCourse(device, course.name));
      announce(courses.done(course.title));
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  return (
    <li>
      <div className="course">
        <div>
          <h3>{course.title}</h3>
          {course.description !== undefined && <p className="hint">{course.description}</p>}
        </div>
        <Button busy={busy} onPress={() => void work()}>
          {courses.work}
          <span className="visually-hidden">: {course.title}</span>
        </Button>
      </div>
      {error !== undefined && <Problem error={error} />}
      {result !== undefined && <Report result={result} />}
    </li>
  );
}

function Problem({ error }: { error: unknown }) {
  const { courses } = useMessages();
  const errorText = useErrorText();
  const known = error instanceof ApiError ? (courses.problems as Record<string, string | undefined>)[error.reason] : undefined;
  return (
    <Notice kind="error" title={courses.failed}>
      {known ?? errorText(error)}
    </Notice>
  );
}

/** Where it lies, how much is new, and which files there are twice now. */
function Report({ result }: { result: DeviceCourse }) {
  const { courses } = useMessages();
  const { folder, counts, files } = result.status;
  const changed = counts.new + counts.updated + counts.both;
  const twice = files.filter(({ what, beside }) => what === 'both' && beside !== undefined);
  return (
    <Notice kind="success" title={changed > 0 ? courses.copied : courses.nothingNew}>
      <p>
        {courses.where} <code>~/{folder}</code>
      </p>
      {changed > 0 && <p>{courses.counts(counts.new, counts.updated)}</p>}
      {counts.both > 0 && (
        <>
          <p>{courses.both(counts.both)}</p>
          <ul>
            {twice.map(({ path, beside }) => (
              <li key={path}>
                <code>{path}</code> → <code>{beside}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </Notice>
  );
}
