import { useEffect, useMemo, useState } from 'react';
import { isAborted } from '../api/errors';
import { courses } from '../api/resources';
import type { Course } from '../api/types';
import { useLanguage } from '../i18n/language';
import { textIn } from './sandboxes';

export interface CourseChoice {
  name: string;
  title: string;
  description: string | undefined;
}

/** The courses that hold something, in the language of the page. Read once for each page: who has none is not told about an error. */
export function useCourses(): readonly CourseChoice[] {
  const { language } = useLanguage();
  const [all, setAll] = useState<readonly Course[]>([]);
  useEffect(() => {
    const controller = new AbortController();
    courses.all(controller.signal).then(setAll, (failure: unknown) => {
      if (!controller.signal.aborted && !isAborted(failure)) console.warn(failure);
    });
    return () => controller.abort();
  }, []);
  return useMemo(() => all.filter(({ status }) => status?.version !== undefined).map((course) => choice(course, language)), [all, language]);
}

function choice({ metadata, spec }: Course, language: string): CourseChoice {
  return {
    name: metadata.name,
    title: textIn(spec.titles, language) ?? spec.displayTitle ?? metadata.name,
    description: textIn(spec.descriptions, language) ?? spec.description,
  };
}
