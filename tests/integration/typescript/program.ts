// A program of somebody who has the OpenAPI document alone: it compiles with the types that are made of it.
import createClient from "openapi-fetch";
import type { components, paths } from "./mastery";

type Mastery = components["schemas"]["StudentMastery"];

const client = createClient<paths>({ baseUrl: "http://localhost:8005", headers: { Authorization: "Bearer TOKEN" } });

export async function scoreOf(studentId: string): Promise<number> {
  const { data, error } = await client.POST("/mastery/query", { body: { student_id: studentId } });
  if (error) {
    throw new Error(`${error.error.code}: ${error.error.message}`);
  }
  const known: Mastery = data.data;
  const trend: "improving" | "declining" | "stable" = known.trend ?? "stable";
  console.log(trend);
  return known.current_mastery.mastery_score;
}

export async function record(studentId: string): Promise<string> {
  const { data } = await client.POST("/mastery/ingest", {
    params: { header: { "Idempotency-Key": "one-quiz" } },
    body: { event_type: "quiz", student_id: studentId, data: { total_questions: 10, correct_answers: 9 } },
  });
  return data?.data.status ?? "refused";
}

export async function weakest(studentId: string): Promise<string | undefined> {
  const { data } = await client.POST("/analytics/skills", { body: { student_id: studentId } });
  const skills: components["schemas"]["SkillState"][] = data?.data.skills ?? [];
  return skills.reduce((a, b) => (a.probability < b.probability ? a : b), skills[0])?.skill;
}

export async function classOf(name: string): Promise<string[]> {
  const { data } = await client.GET("/students", { params: { query: { query: name, limit: 20 } } });
  return data?.data.students.flatMap((student) => student.cohorts) ?? [];
}

// @ts-expect-error a field of another name is no argument
void client.POST("/mastery/query", { body: { student: "student_12345" } });
// @ts-expect-error there is no such call
void client.POST("/mastery/guess", { body: { student_id: "student_12345" } });
// @ts-expect-error a priority has three values
void client.POST("/recommendations/adaptive", { body: { student_id: "student_12345", priority: "urgent" } });
