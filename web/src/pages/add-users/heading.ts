/** What a column holds. `other`: something that no account has, such as a class or a sex. */
export type Column = 'name' | 'displayName' | 'password' | 'role' | 'other';

export interface HeadedColumn {
  title: string;
  column: Column;
}

const words: Record<Column, readonly string[]> = {
  name: [
    ...['username', 'user name', 'user', 'login', 'login name', 'account', 'id', 'student id', 'student number', 'student no', 'number'],
    ...['用户名', '用户', '账号', '帐号', '账户', '帐户', '登录名', '学号', '学籍号', '考号', '工号', '教工号', '职工号'],
  ],
  displayName: [
    ...['display name', 'displayname', 'full name', 'fullname', 'student name', 'chinesename', 'chinese name', 'real name'],
    ...['显示名', '显示名称', '姓名', '中文名', '真实姓名', '学生姓名', '名字'],
  ],
  password: ['password', 'passwd', 'pass', 'initial password', '密码', '口令', '初始密码', '登录密码'],
  role: ['role', '角色', '身份', '用户类型', '权限'],
  other: [
    ...['class', 'group', 'grade', 'sex', 'gender', 'no', 'no.', '#', 'e-mail', 'email', 'mail', 'phone', 'description', 'note', 'notes', 'remarks'],
    ...['班级', '班', '所在班级', '行政班', '年级', '性别', '序号', '编号', '院系', '学院', '系', '专业', '邮箱', '电话', '手机', '手机号', '备注', '说明'],
  ],
};

const columns = new Map((Object.keys(words) as Column[]).flatMap((column) => words[column].map((word) => [word, column] as const)));
/** Of these, «name» is what one logs in with, unless another column says that it is that. */
const either = new Set(['name', '名称']);

/** What the first line says about the columns; undefined where it is a user like the others. */
export function readHeading(cells: readonly string[]): HeadedColumn[] | undefined {
  const titles = cells.map((cell) => cell.normalize('NFKC').trim().toLowerCase());
  const known = titles.filter((title) => columns.has(title) || either.has(title)).length;
  const first = titles[0] ?? '';
  if (!columns.has(first) && !either.has(first) && known * 2 <= titles.length) return undefined;
  const named = titles.some((title) => columns.get(title) === 'name');
  return cells.map((title, at) => ({ title, column: columnOf(titles[at] ?? '', named) }));
}

function columnOf(title: string, named: boolean): Column {
  if (either.has(title)) return named ? 'displayName' : 'name';
  return columns.get(title) ?? 'other';
}
