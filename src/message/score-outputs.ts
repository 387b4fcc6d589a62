// What a scored group adds to the outputs of each reading.

/** 0 to 1: how unusual the reading is. */
export const scoreOutput = "score";
/** 1 while an alarm is open, else 0. */
export const alarmOutput = "alarm";
